//! The URLs this crate is willing to open: https anywhere, http on this machine's loopback only.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::FetchError;

const MAX_LENGTH: usize = 8192;

/// A URL that has been checked: https, or http to the loopback; a plain host, no user name.
///
/// Displayed without its query, which in a redirect to a download host is a signed secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeUrl {
    text: String,
    https: bool,
    host: String,
    port: u16,
    path_start: usize,
}

impl SafeUrl {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`FetchError::UnsafeUrl`] for another scheme, http to any host but the loopback, a user name,
    /// a missing host, a bad port, or a character that has no place in a URL.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let refuse = |reason| FetchError::UnsafeUrl {
            url: text.split('?').next().unwrap_or_default().chars().take(200).collect(),
            reason,
        };
        if text.len() > MAX_LENGTH {
            return Err(refuse("it is longer than 8192 characters"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&b)) {
            return Err(refuse("it has a character that is not allowed in a URL"));
        }
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("it has no scheme"))?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(refuse("only https is opened")),
        };
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let path_start = text.len() - rest.len() + authority.len();
        if authority.contains('@') {
            return Err(refuse("user names and passwords in a URL are not accepted"));
        }
        let (host, port) = match authority.rfind(':') {
            Some(colon) if !authority[colon..].contains(']') => {
                let digits = &authority[colon + 1..];
                let port = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok());
                let port = port.flatten().ok_or_else(|| refuse("its port is not a number"))?;
                (&authority[..colon], port)
            }
            _ => (authority, if https { 443 } else { 80 }),
        };
        if !is_host(host) {
            return Err(refuse("its host is not a plain name or address"));
        }
        let url = Self {
            text: text.to_owned(),
            https,
            host: host.to_ascii_lowercase(),
            port,
            path_start,
        };
        if !url.https && !url.is_loopback() {
            return Err(refuse("http is only opened on the loopback; use https"));
        }
        Ok(url)
    }

    /// The whole URL, with its query.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.parse::<Ipv4Addr>().is_ok_and(|a| a.is_loopback())
            || bare.parse::<Ipv6Addr>().is_ok_and(|a| a.is_loopback())
    }

    /// Whether both name the same scheme, host and port, so that a token may follow.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    /// The last part of the path: the name a download gets when the manifest gives none.
    pub fn file_name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// Where a redirect from here to `location` leads.
    ///
    /// # Errors
    /// As [`SafeUrl::parse`]; and a host elsewhere may not lead to plain http on this machine.
    pub fn redirect(&self, location: &str) -> Result<Self, FetchError> {
        let origin = &self.text[..self.path_start];
        let scheme = if self.https { "https" } else { "http" };
        let target = if has_scheme(location) {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{origin}{location}")
        } else {
            let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{origin}{folder}/{location}")
        };
        let next = Self::parse(&target)?;
        if !next.https && !self.is_loopback() {
            return Err(FetchError::UnsafeUrl {
                url: next.to_string(),
                reason: "a redirect from another host leads to plain http on this machine",
            });
        }
        Ok(next)
    }

    fn path(&self) -> &str {
        self.text[self.path_start..].split('?').next().unwrap_or_default()
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.split('?').next().unwrap_or_default())
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(plain)
        && !host.starts_with(['.', '-'])
}

fn has_scheme(location: &str) -> bool {
    let end = location.find([':', '/', '?', '#']);
    end.is_some_and(|at| at > 0 && location.as_bytes()[at] == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(url: &str) -> &'static str {
        match SafeUrl::parse(url) {
            Err(FetchError::UnsafeUrl { reason, .. }) => reason,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn https_is_accepted_anywhere_and_http_only_on_the_loopback() {
        for good in [
            "https://example.org/a/b.pth?x=1",
            "http://127.0.0.1:8080/a",
            "http://127.9.9.9/a",
            "http://localhost/a",
            "http://[::1]:99/a",
            "HTTPS://Example.org",
        ] {
            assert!(SafeUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.org/a",
            "http://localhost.example.org/a",
            "http://127.0.0.1.example.org/",
            "http://0x7f.1/",
            "http://[::2]/a",
        ] {
            assert!(reason(bad).contains("loopback"), "{bad}");
        }
        assert!(reason("file:///etc/passwd").contains("only https"));
        assert!(reason("example.org/a").contains("scheme"));
    }

    #[test]
    fn hosts_that_two_parsers_could_read_differently_are_refused() {
        assert!(reason("http://127.0.0.1@example.org/").contains("user names"));
        assert!(reason("http://127.0.0.1\\@example.org/").contains("character"));
        assert!(reason("https:///a").contains("host"));
        assert!(reason("https://a b/").contains("character"));
        assert!(reason("https://exa\u{1b}mple.org/").contains("character"));
        assert!(reason("https://example.org:12x/").contains("port"));
        assert!(reason("https://example.org:+80/").contains("port"));
        assert!(reason("https://example.org:99999/").contains("port"));
    }

    #[test]
    fn redirects_follow_every_form_of_location() {
        let here = SafeUrl::parse("https://a.org/x/y?q").unwrap();
        let to = |location| here.redirect(location).unwrap().text;
        assert_eq!(to("/z"), "https://a.org/z");
        assert_eq!(to("z"), "https://a.org/x/z");
        assert_eq!(to("//b.org/z"), "https://b.org/z");
        assert_eq!(to("https://b.org/z?s=1#top"), "https://b.org/z?s=1");
        assert!(here.redirect("http://b.org/z").is_err());
        assert!(
            here.redirect("http://127.0.0.1/z").is_err(),
            "a far host must not reach the loopback"
        );
        let local = SafeUrl::parse("http://127.0.0.1:1/x").unwrap();
        assert!(local.redirect("http://127.0.0.1:2/z").is_ok());
        assert!(local.redirect("http://b.org/z").is_err());
    }

    #[test]
    fn origins_compare_scheme_host_and_port() {
        let url = |text| SafeUrl::parse(text).unwrap();
        assert!(url("https://a.org/x").same_origin(&url("https://A.org:443/y")));
        assert!(!url("https://a.org/x").same_origin(&url("https://a.org:444/x")));
        assert!(!url("https://a.org/x").same_origin(&url("https://b.a.org/x")));
    }

    #[test]
    fn the_query_is_never_shown() {
        let url = SafeUrl::parse("https://a.org/x.pth?Signature=secret").unwrap();
        assert_eq!(url.to_string(), "https://a.org/x.pth");
        assert_eq!(url.file_name(), "x.pth");
    }
}
