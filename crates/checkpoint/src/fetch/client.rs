//! The network client: every hop checked, tokens kept to their host, no wait without an end.

use std::io;

use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, Timeout};

use super::options::{FetchOptions, Token};
use crate::error::FetchError;
use crate::text::printable;
use crate::url::SafeUrl;

const MAX_REDIRECTS: usize = 10;

/// Sends requests by the options' time-outs.
pub(super) struct Client {
    agent: Agent,
    connect_seconds: f64,
    stall_seconds: f64,
}

/// The part of a file that is already here.
#[derive(Clone, Copy)]
pub(super) struct Resume<'a> {
    pub offset: u64,
    pub etag: &'a str,
}

impl Client {
    pub(super) fn new(options: &FetchOptions) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let (connect, stall) = (options.connect_timeout, options.stall_timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("retinanet/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .timeout_send_request(Some(stall))
            .timeout_recv_response(Some(stall))
            .timeout_per_read(Some(stall))
            .build();
        Self {
            agent: config.new_agent(),
            connect_seconds: connect.as_secs_f64(),
            stall_seconds: stall.as_secs_f64(),
        }
    }

    /// Gets `url`, following redirects; the answer's status is the caller's to judge.
    pub(super) fn get(
        &self,
        url: &SafeUrl,
        mut token: Option<&Token>,
        resume: Option<Resume<'_>>,
    ) -> Result<Response<Body>, FetchError> {
        let mut here = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            // Compressed bytes could neither be resumed nor hashed.
            let mut request =
                self.agent.get(here.as_str()).header(header::ACCEPT_ENCODING, "identity");
            if let Some(Resume { offset, etag }) = resume {
                request = request
                    .header(header::RANGE, format!("bytes={offset}-"))
                    .header(header::IF_RANGE, etag);
            }
            // Once another origin is reached the token is gone for good.
            token =
                token.filter(|_| here.same_origin(url) && (here.is_https() || here.is_loopback()));
            if let Some(token) = token {
                request =
                    request.header(header::AUTHORIZATION, format!("Bearer {}", token.secret()));
            }
            let mut config = request.config().https_only(here.is_https());
            if here.is_loopback() {
                config = config.proxy(None);
            }
            let response = config.build().call().map_err(|error| self.failure(&here, error))?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let location =
                response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let location = location.ok_or_else(|| FetchError::Broken {
                url: here.to_string(),
                problem: "it redirects to nowhere".to_owned(),
            })?;
            here = here.redirect(location)?;
        }
        Err(FetchError::UnsafeUrl {
            url: url.to_string(),
            reason: "it redirects more than 10 times",
        })
    }

    /// What an error while reading the body means.
    pub(super) fn read_failure(&self, url: &SafeUrl, error: io::Error) -> FetchError {
        self.failure(url, Error::from(error))
    }

    fn failure(&self, url: &SafeUrl, error: Error) -> FetchError {
        use io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, HostUnreachable, InvalidData, NetworkUnreachable,
        };
        let unreachable = |problem| FetchError::Unreachable { url: url.to_string(), problem };
        match error {
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                unreachable(format!("no connection within {} s", self.connect_seconds))
            }
            Error::Timeout(_) => {
                FetchError::Stalled { url: url.to_string(), seconds: self.stall_seconds }
            }
            Error::HostNotFound => unreachable("its host is not found".to_owned()),
            Error::Io(error)
                if matches!(
                    error.kind(),
                    AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable
                ) =>
            {
                unreachable(printable(&error.to_string()))
            }
            // How the handshake reports a certificate it does not trust.
            Error::Io(error) if error.kind() == InvalidData => unreachable(format!(
                "{} (a proxy that opens traffic needs its certificate in SSL_CERT_FILE)",
                printable(&error.to_string())
            )),
            error @ (Error::ConnectionFailed
            | Error::InvalidProxyUrl
            | Error::ConnectProxyFailed(_)
            | Error::Tls(_)
            | Error::Rustls(_)
            | Error::TlsRequired) => unreachable(printable(&error.to_string())),
            error => {
                FetchError::Broken { url: url.to_string(), problem: printable(&error.to_string()) }
            }
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
