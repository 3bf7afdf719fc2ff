//! Owns where GitHub is: the address of its API, what lies on the same host, and a repository's name.

use crate::problem::{Problem, Result};
use std::fmt;
use std::net::IpAddr;
use ureq::http::Uri;

/// The API of github.com.
pub const PUBLIC: &str = "https://api.github.com";

/// Scheme, host and port: what a token may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// The address of GitHub's API.
#[derive(Debug, Clone)]
pub struct Api {
    /// Without a slash at the end.
    base: String,
    origin: Origin,
}

impl Api {
    /// The API at an address: `https`, or `http` on this machine, where nobody else can listen.
    ///
    /// # Errors
    /// If it is no such address.
    pub fn new(text: &str) -> Result<Api> {
        let refuse = |what: &str| {
            Err(Problem::new(format!("GITHUB_API_URL: {what}")).help(format!(
                "set the API's address, {PUBLIC} or https://HOST/api/v3 of a GitHub Enterprise Server"
            )))
        };
        let base = text.trim_end_matches('/');
        let Some(origin) = origin(base) else {
            return refuse("it is no address of the form https://HOST/PATH");
        };
        if base.contains(['?', '#']) {
            return refuse("an API's address has no query");
        }
        if origin.scheme != "https" && !is_loopback(&origin.host) {
            return refuse("a token is not sent over plain http");
        }
        Ok(Api { base: base.to_string(), origin })
    }

    /// The address of something in the API; `path` begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Where an answer sends one, if a token may follow there: to the API's own scheme, host and port.
    pub(super) fn follow(&self, location: &str) -> Option<String> {
        let whole = match location.starts_with('/') && !location.starts_with("//") {
            true => {
                let authority = self.base.split("://").nth(1)?.split('/').next()?;
                format!("{}://{authority}{location}", self.origin.scheme)
            }
            false => location.to_string(),
        };
        (origin(&whole).as_ref() == Some(&self.origin)).then_some(whole)
    }

    /// Whether nothing is encrypted.
    pub(super) fn is_plain(&self) -> bool {
        self.origin.scheme == "http"
    }
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn origin(url: &str) -> Option<Origin> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let usual = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = authority.host().to_ascii_lowercase();
    Some(Origin { scheme, host, port: authority.port_u16().unwrap_or(usual) })
}

/// Part of an address, with everything but letters, digits and `-._~` written as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => (byte as char).to_string(),
        byte if byte.is_ascii_alphanumeric() => (byte as char).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// A repository, `OWNER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// A repository by its name.
    ///
    /// # Errors
    /// If it is no `OWNER/NAME`: in words.
    pub fn new(text: &str) -> std::result::Result<Repository, String> {
        let fits = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=100).contains(&part.len())
                && part != "."
                && part != ".."
                && part.bytes().all(known)
        };
        match text.split_once('/') {
            Some((owner, name)) if fits(owner) && fits(name) => Ok(Repository(text.to_string())),
            _ => Err("is no OWNER/NAME of a repository".to_string()),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_https_or_to_this_machine() {
        let good = [
            PUBLIC,
            "https://ghe.example.com/api/v3/",
            "http://127.0.0.1:8080",
            "http://localhost:1/api",
            "http://[::1]:99",
        ];
        for text in good {
            assert!(Api::new(text).is_ok(), "{text}");
        }
        let bad = [
            "http://api.github.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "https://user:pw@api.github.com",
            "http://localhost@example.com",
            "ftp://127.0.0.1",
            "api.github.com",
            "https://x/?a=b",
            "",
        ];
        for text in bad {
            assert!(Api::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_follows_to_its_own_host_only() {
        let api = Api::new("https://ghe.example.com/api/v3").unwrap();
        let next = "https://GHE.example.com:443/api/v3/x?page=2";
        assert_eq!(api.follow(next).as_deref(), Some(next));
        let path = api.follow("/repositories/1/issues").unwrap();
        assert_eq!(path, "https://ghe.example.com/repositories/1/issues");
        for elsewhere in [
            "http://ghe.example.com/api/v3/x",
            "https://ghe.example.com:8443/x",
            "https://ghe.example.com.evil.org/x",
            "https://ghe.example.com@evil.org/x",
            "//evil.org/x",
            "x",
            "",
        ] {
            assert_eq!(api.follow(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn repositories_have_an_owner_and_a_name() {
        assert_eq!(Repository::new("o-1/n_a.me").unwrap().to_string(), "o-1/n_a.me");
        for bad in ["", "o", "o/", "/n", "o/n/x", "o/..", "../n", "o/n?x", "o/n\n", "o/%2e"] {
            assert!(Repository::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_branch_s_name_stays_one_value() {
        assert_eq!(encoded("me:a&b=c#d+e/ü"), "me%3Aa%26b%3Dc%23d%2Be%2F%C3%BC");
    }
}
