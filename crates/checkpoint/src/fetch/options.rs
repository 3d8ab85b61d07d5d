//! What a user may set about fetching, and the environment variables it is taken from.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{FetchError, Result};
use crate::url::SafeUrl;

/// The hub asked when `HF_ENDPOINT` is not set.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// How a checkpoint is looked up and downloaded.
///
/// [`FetchOptions::from_env`] is what users want; [`FetchOptions::in_folder`] reads no environment
/// variable and looks nowhere else.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Where downloaded files are kept: `CACHE/CHECKPOINT/FILE`.
    pub cache_dir: PathBuf,
    /// The model hub's own cache (`.../hub`), read only: files that other tools downloaded are reused.
    pub hub_cache: Option<PathBuf>,
    /// PyTorch's cache of checkpoints (`.../hub/checkpoints`), read only: likewise.
    pub torch_cache: Option<PathBuf>,
    /// The folder that the built-in manifest's bundled files are below.
    pub bundled_root: Option<PathBuf>,
    /// The model hub's address.
    pub endpoint: String,
    /// Sent to `endpoint` over https only, never to another host.
    pub token: Option<Token>,
    /// Never touch the network.
    pub offline: bool,
    /// What is shown on stderr.
    pub progress: Progress,
    /// Give up on a connection that is not there after this long.
    pub connect_timeout: Duration,
    /// Give up on a server that sends no byte for this long.
    pub stall_timeout: Duration,
    /// Give up on another process that downloads the same file after this long.
    pub lock_timeout: Duration,
    /// Tries in a row that bring the download no further (at least 1).
    pub attempts: u32,
    /// The wait before the second try; doubled for each further one, up to 30 s.
    pub retry_wait: Duration,
    /// The most bytes accepted where the manifest gives no size.
    pub max_bytes: u64,
}

/// What a fetch shows on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Progress {
    /// A bar where stderr is a terminal, and a line when it waits or turns to another source.
    #[default]
    Auto,
    /// Nothing.
    Silent,
}

/// A secret that opens private repositories; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a token.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    #[cfg(feature = "fetch")]
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FetchOptions {
    /// Options that use `cache_dir` alone and no environment variable (but for the proxy's, which
    /// the network client reads).
    pub fn in_folder(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            hub_cache: None,
            torch_cache: None,
            bundled_root: None,
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            token: None,
            offline: false,
            progress: Progress::Auto,
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(3600),
            attempts: 5,
            retry_wait: Duration::from_secs(1),
            max_bytes: 4 << 30,
        }
    }

    /// Options from the environment.
    ///
    /// - cache: `RETINANET_CACHE`, else `HF_HOME/retinanet`, else the platform's cache folder
    ///   (`XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`) + `retinanet`;
    /// - other tools' caches: `HF_HUB_CACHE`, else `HF_HOME/hub`; `TORCH_HOME/hub/checkpoints`;
    /// - `HF_ENDPOINT`: the hub's address;
    /// - `HF_TOKEN`: a token, used only if the hub's address is https and
    ///   `HF_HUB_DISABLE_IMPLICIT_TOKEN` is not set;
    /// - `RETINANET_OFFLINE`, `HF_HUB_OFFLINE`: 1, on, yes or true switch the network off.
    ///
    /// An empty variable counts as not set.
    ///
    /// # Errors
    /// [`FetchError::Environment`] for an endpoint that is not https or a switch that is neither on
    /// nor off; [`FetchError::NoCacheFolder`] where no folder can be derived.
    pub fn from_env() -> Result<Self> {
        Ok(Self::from_variables(std::env::var_os, std::env::home_dir())?)
    }

    fn from_variables(
        variable: impl Fn(&'static str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, FetchError> {
        let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name| folder(name).map(|value| value.to_string_lossy().trim().to_owned());
        let switch = |name| switched_on(name, &text(name).unwrap_or_default());

        let home = home.filter(|home| !home.as_os_str().is_empty());
        let dot_cache = folder("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| home.as_ref().map(|home| home.join(".cache")));
        let platform_cache = if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            home.as_ref().map(|home| home.join("Library/Caches"))
        } else {
            dot_cache.clone()
        };
        let hf_home = folder("HF_HOME");
        let cache_dir = folder("RETINANET_CACHE")
            .or_else(|| hf_home.as_ref().map(|home| home.join("retinanet")))
            .or_else(|| platform_cache.map(|cache| cache.join("retinanet")))
            .ok_or(FetchError::NoCacheFolder)?;

        let mut options = Self::in_folder(cache_dir);
        let hf_home = hf_home.or_else(|| dot_cache.as_ref().map(|cache| cache.join("huggingface")));
        options.hub_cache = folder("HF_HUB_CACHE").or_else(|| hf_home.map(|home| home.join("hub")));
        let torch_home =
            folder("TORCH_HOME").or_else(|| dot_cache.map(|cache| cache.join("torch")));
        options.torch_cache = torch_home.map(|home| home.join("hub").join("checkpoints"));
        options.offline = switch("RETINANET_OFFLINE")? | switch("HF_HUB_OFFLINE")?;
        if let Some(endpoint) = text("HF_ENDPOINT") {
            if SafeUrl::parse(&endpoint).is_err() {
                let problem = "it must be an https address (http only on the loopback)";
                return Err(FetchError::Environment {
                    variable: "HF_ENDPOINT",
                    value: endpoint,
                    problem,
                });
            }
            options.endpoint = endpoint;
        }
        let encrypted = SafeUrl::parse(&options.endpoint).is_ok_and(|url| url.is_https());
        if encrypted && !switch("HF_HUB_DISABLE_IMPLICIT_TOKEN")? {
            options.token = text("HF_TOKEN").filter(|token| !token.is_empty()).map(Token::new);
        }
        Ok(options)
    }
}

fn switched_on(variable: &'static str, value: &str) -> Result<bool, FetchError> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Ok(true),
        "" | "0" | "off" | "no" | "false" => Ok(false),
        _ => {
            let problem = "write 1 or 0 (on, off, yes, no, true, false)";
            Err(FetchError::Environment { variable, value: value.to_owned(), problem })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<FetchOptions, FetchError> {
        let find = |name: &'static str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        };
        FetchOptions::from_variables(find, Some(PathBuf::from("/home/u")))
    }

    #[test]
    fn the_cache_is_retinanet_cache_then_hf_home_then_the_platforms() {
        let all = [("RETINANET_CACHE", "/c"), ("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(with(&all).unwrap().cache_dir, PathBuf::from("/c"));
        assert_eq!(with(&all[1..]).unwrap().cache_dir, PathBuf::from("/h/retinanet"));
        if cfg!(target_os = "linux") {
            assert_eq!(with(&all[2..]).unwrap().cache_dir, PathBuf::from("/x/retinanet"));
            assert_eq!(with(&[]).unwrap().cache_dir, PathBuf::from("/home/u/.cache/retinanet"));
        }
        assert_eq!(
            with(&[("RETINANET_CACHE", ""), ("HF_HOME", "/h")]).unwrap().cache_dir,
            PathBuf::from("/h/retinanet")
        );
        if !cfg!(windows) {
            let nowhere = FetchOptions::from_variables(|_| None, None);
            assert!(matches!(nowhere, Err(FetchError::NoCacheFolder)));
        }
    }

    #[test]
    fn other_tools_caches_are_where_those_tools_put_them() {
        let options = with(&[("HF_HOME", "/h"), ("TORCH_HOME", "/t")]).unwrap();
        assert_eq!(options.hub_cache, Some(PathBuf::from("/h/hub")));
        assert_eq!(options.torch_cache, Some(PathBuf::from("/t/hub/checkpoints")));
        let options = with(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/k")]).unwrap();
        assert_eq!(options.hub_cache, Some(PathBuf::from("/k")));
        let options = with(&[]).unwrap();
        assert_eq!(options.hub_cache, Some(PathBuf::from("/home/u/.cache/huggingface/hub")));
        assert_eq!(
            options.torch_cache,
            Some(PathBuf::from("/home/u/.cache/torch/hub/checkpoints"))
        );
    }

    #[test]
    fn either_switch_turns_the_network_off() {
        assert!(!with(&[]).unwrap().offline);
        assert!(with(&[("HF_HUB_OFFLINE", "1")]).unwrap().offline);
        assert!(with(&[("RETINANET_OFFLINE", "YES"), ("HF_HUB_OFFLINE", "0")]).unwrap().offline);
        let error = with(&[("RETINANET_OFFLINE", "tru")]).unwrap_err().to_string();
        assert!(error.contains("RETINANET_OFFLINE") && error.contains("tru"), "{error}");
    }

    #[test]
    fn an_implicit_token_goes_to_https_endpoints_only() {
        let token = ("HF_TOKEN", "secret");
        assert_eq!(with(&[token]).unwrap().token, Some(Token::new("secret")));
        assert_eq!(with(&[token, ("HF_ENDPOINT", "http://127.0.0.1:1")]).unwrap().token, None);
        assert_eq!(with(&[token, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).unwrap().token, None);
        let error =
            with(&[token, ("HF_ENDPOINT", "http://mirror.example.org")]).unwrap_err().to_string();
        assert!(error.contains("HF_ENDPOINT") && !error.contains("secret"), "{error}");
        assert!(!format!("{:?}", with(&[token]).unwrap()).contains("secret"));
    }
}
