//! Reads URLs and connection strings. No error repeats any part of them: a password may be anywhere in one that is
//! wrong.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use session_core::{Error, Result};
use url::{Host, Url};

use super::topology::{Topology, host_and_port};

/// What was said; `None` where nothing was.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) topology: Option<Topology>,
    pub(super) username: Option<String>,
    pub(super) access_key: Option<String>,
    pub(super) database: Option<u32>,
    pub(super) ssl: Option<bool>,
    pub(super) server_name: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) operation_timeout: Option<Duration>,
    pub(super) keep_alive: Option<Duration>,
}

pub(super) fn parse(text: &str) -> Result<Parsed> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    match scheme.filter(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))) {
        Some(scheme) => {
            let url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
            match scheme.to_ascii_lowercase().as_str() {
                "redis" | "rediss" => tcp(&url),
                "redis+unix" | "unix" => unix(&url),
                _ => Err(wrong("must start with redis://, rediss://, redis+unix:// or unix://")),
            }
        }
        None => connection_string(text),
    }
}

fn tcp(url: &Url) -> Result<Parsed> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not have a query or a fragment; a '?' or '#' in a password is written %3F, %23"));
    }
    let database = url.path().strip_prefix('/').unwrap_or_default();
    Ok(Parsed {
        host: match url.host() {
            // Schemes that the standard does not know keep the host as it was written.
            Some(Host::Domain(name)) => Some(decoded(name)?),
            Some(Host::Ipv4(address)) => Some(address.to_string()),
            Some(Host::Ipv6(address)) => Some(address.to_string()),
            None => None,
        },
        port: url.port(),
        username: some_decoded(url.username())?,
        access_key: some_decoded(url.password().unwrap_or_default())?,
        database: (!database.is_empty()).then(|| number("the database", database)).transpose()?,
        ssl: Some(url.scheme() == "rediss"),
        ..Parsed::default()
    })
}

fn unix(url: &Url) -> Result<Parsed> {
    if url.host_str().is_some_and(|host| !host.is_empty()) || url.fragment().is_some() {
        return Err(wrong("must be of the form redis+unix:///path?db=0"));
    }
    let mut parsed = Parsed { unix_socket: Some(decoded(url.path())?.into()), ..Parsed::default() };
    for (name, value) in url.query_pairs() {
        match &*name {
            "db" => parsed.database = Some(number("the database", &value)?),
            "user" => parsed.username = Some(value.into_owned()),
            "pass" => parsed.access_key = Some(value.into_owned()),
            _ => return Err(wrong("has a parameter other than db, user and pass")),
        }
    }
    Ok(parsed)
}

/// The form of StackExchange.Redis: the server, or the sentinels that know it, then options, all separated by commas.
fn connection_string(text: &str) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut servers = Vec::new();
    let mut service_name = None;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            None => servers.push(part),
            Some((name, value)) if name.eq_ignore_ascii_case("serviceName") => {
                service_name = Some(value).filter(|value| !value.is_empty());
            }
            Some((name, value)) => option(&mut parsed, name, value)?,
        }
    }
    match (servers.as_slice(), service_name) {
        ([], _) => return Err(wrong("names no server")),
        (sentinels, Some(name)) => parsed.topology = Some(Topology::sentinel(name, sentinels.iter().copied())),
        ([server], None) => {
            let (host, port) = host_and_port(server).ok_or_else(|| wrong("the port is not a number in its range"))?;
            (parsed.host, parsed.port) = (Some(host.to_owned()), port);
        }
        (_, None) => {
            return Err(wrong(
                "names several servers, which needs `serviceName` if they are sentinels; for a cluster, set `topology`",
            ));
        }
    }
    Ok(parsed)
}

fn option(parsed: &mut Parsed, name: &str, value: &str) -> Result<()> {
    let milliseconds = |what| number(what, value).map(Duration::from_millis);
    match name.to_ascii_lowercase().as_str() {
        "password" => parsed.access_key = Some(value.to_owned()).filter(|value| !value.is_empty()),
        "user" => parsed.username = Some(value.to_owned()).filter(|value| !value.is_empty()),
        "ssl" => {
            parsed.ssl = Some(match value.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(wrong("ssl must be true or false")),
            });
        }
        "sslhost" => parsed.server_name = Some(value.to_owned()),
        "defaultdatabase" => parsed.database = Some(number("defaultDatabase", value)?),
        "connecttimeout" => parsed.connect_timeout = Some(milliseconds("connectTimeout")?),
        "synctimeout" | "asynctimeout" => parsed.operation_timeout = Some(milliseconds("syncTimeout")?),
        "keepalive" => parsed.keep_alive = Some(Duration::from_secs(number("keepAlive", value)?)),
        // What these change there is always so here, or does not exist.
        "abortconnect"
        | "allowadmin"
        | "connectretry"
        | "resolvedns"
        | "name"
        | "responsetimeout"
        | "version"
        | "configcheckseconds"
        | "checkcertificaterevocation"
        | "highprioritysocketthreads"
        | "writebuffer"
        | "setclientlibrary"
        | "protocol" => {}
        "proxy" => return Err(wrong("proxy: a TwemProxy has a provider of its own")),
        _ => return Err(wrong("has an option that is not known")),
    }
    Ok(())
}

fn number<T: FromStr>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| wrong(&format!("{what} is not a number in its range")))
}

fn decoded(text: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(wrong("is not UTF-8 where it is percent-encoded")),
    }
}

fn some_decoded(text: &str) -> Result<Option<String>> {
    if text.is_empty() { Ok(None) } else { decoded(text).map(Some) }
}

fn wrong(why: &str) -> Error {
    super::wrong("url", why)
}
