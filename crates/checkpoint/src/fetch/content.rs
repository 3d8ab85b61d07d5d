//! A URL's content in memory, for a file that no manifest names and no cache keeps.

use super::options::FetchOptions;
use crate::error::{FetchError, Result};
use crate::url::SafeUrl;

/// What a URL gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The URL without its query, which may hold a secret.
    pub url: String,
    /// The last part of the URL's path; may be empty.
    pub file_name: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Downloads what is at `url`, at most `limit` bytes: https, or http on this machine's loopback. No token is sent, and
/// nothing is kept on the disk. Whether the bytes are the right ones is the caller's to check.
///
/// # Errors
/// [`FetchError::UnsafeUrl`], [`FetchError::UrlOffline`], [`FetchError::UrlWithoutClient`],
/// [`FetchError::UrlTooLarge`], and those of connections and servers.
pub fn fetch_content(url: &str, limit: u64, options: &FetchOptions) -> Result<Content> {
    let url = SafeUrl::parse(url)?;
    let by_hand = format!("curl -L -o FILE '{}'", url.as_str().replace('\'', "%27"));
    if options.offline {
        return Err(FetchError::UrlOffline { url: url.to_string(), by_hand }.into());
    }
    #[cfg(not(feature = "fetch"))]
    {
        let _ = limit;
        Err(FetchError::UrlWithoutClient { url: url.to_string(), by_hand }.into())
    }
    #[cfg(feature = "fetch")]
    {
        let bytes = client::download(&url, limit, options)?;
        Ok(Content { url: url.to_string(), file_name: url.file_name().to_owned(), bytes })
    }
}

#[cfg(feature = "fetch")]
mod client {
    use std::io::Read;

    use super::super::client::Client;
    use super::super::options::FetchOptions;
    use super::super::progress;
    use crate::error::FetchError;
    use crate::url::SafeUrl;

    /// Tries until it comes whole, or the tries are used up.
    pub(super) fn download(
        url: &SafeUrl,
        limit: u64,
        options: &FetchOptions,
    ) -> Result<Vec<u8>, FetchError> {
        let client = Client::new(options);
        let mut wait = options.retry_wait;
        let mut tries = 1;
        loop {
            match attempt(&client, url, limit, options) {
                Err(error) if error.is_passing() && tries < options.attempts => {
                    progress::say(options.progress, &format!("{error} (trying again)"));
                    std::thread::sleep(wait);
                    wait = wait.saturating_mul(2);
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }

    fn attempt(
        client: &Client,
        url: &SafeUrl,
        limit: u64,
        options: &FetchOptions,
    ) -> Result<Vec<u8>, FetchError> {
        let mut response = client.get(url, None, None)?;
        let status = response.status().as_u16();
        if status != 200 {
            let hint = match status {
                401 | 403 => " (it is not for everyone: download it by hand)",
                404 | 410 => " (nothing is there)",
                429 => " (too many requests; try again later)",
                _ => "",
            };
            return Err(FetchError::Http { url: url.to_string(), status, hint });
        }
        let too_large = || FetchError::UrlTooLarge { url: url.to_string(), limit };
        let total: Option<u64> = response
            .headers()
            .get(ureq::http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if total.is_some_and(|total| total > limit) {
            return Err(too_large());
        }
        let bar = progress::bar(options.progress, url.file_name());
        if let Some(total) = total {
            bar.set_length(total);
        }
        // Nothing is set aside for what a header claims.
        let mut bytes = Vec::new();
        let mut reader = bar.wrap_read(response.body_mut().as_reader());
        let read = reader.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        bar.finish_and_clear();
        read.map_err(|error| client.read_failure(url, error))?;
        if bytes.len() as u64 > limit {
            return Err(too_large());
        }
        match total.filter(|total| *total != bytes.len() as u64) {
            Some(total) => {
                let problem = format!("it was cut after {} of {total} bytes", bytes.len());
                Err(FetchError::Broken { url: url.to_string(), problem })
            }
            None => Ok(bytes),
        }
    }
}
