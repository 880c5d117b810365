//! Requests to the server, one at a time.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use knit_schemas::api;
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::as_of::AsOf;
use crate::error::{Ask, Error, Refusal};
use crate::profile::Server;
use crate::waiting;

/// How long a connection may take to come about. There is no other time limit: uploads, downloads
/// and followed logs may last hours and be silent for long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// After this silence the other side is asked whether it is still there, so that a server that
/// vanished without a word is noticed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// A server's API.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Server,
    /// The unix socket through which everything goes, if it does.
    socket: Option<PathBuf>,
}

/// Pairs of a query string; names may repeat.
pub(crate) type Query = Vec<(&'static str, String)>;

impl Client {
    /// A client of `server`; nothing is sent yet.
    pub(crate) fn new(server: Server) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).tcp_keepalive(KEEPALIVE_INTERVAL);
        if is_loopback(&server.root) {
            // A proxy's idea of this machine is another machine.
            builder = builder.no_proxy();
        }
        let trusts_system = server.root.scheme() == "https" && server.ca_pem.is_none();
        builder = builder.tls_built_in_root_certs(trusts_system);
        let unreachable = |source| Error::Unreachable { server: server.root.to_string(), by_default: false, source };
        for certificate in server.ca_pem.iter().map(|pem| reqwest::Certificate::from_pem_bundle(pem)) {
            builder = certificate
                .map_err(unreachable)?
                .into_iter()
                .fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let http = builder.build().map_err(unreachable)?;
        Ok(Self { http, server, socket: None })
    }

    /// A client of the server that listens on a unix socket; nothing is sent yet.
    pub(crate) fn over_socket(path: PathBuf) -> Result<Self, Error> {
        let root = Url::parse("http://localhost/").expect("that is an address");
        let builder = reqwest::Client::builder().no_proxy().tls_built_in_root_certs(false).unix_socket(path.as_path());
        match builder.build() {
            Ok(http) => Ok(Self { http, server: Server { root, ca_pem: None, by_default: false }, socket: Some(path) }),
            Err(source) => Err(Error::NoSocket { path, source }),
        }
    }

    /// The address of `segments` below the root of the API. Ids are escaped, so none can name
    /// anything else than itself.
    pub(crate) fn url(&self, segments: &[&str]) -> Result<Url, Error> {
        // The standard of addresses resolves these two even when they are escaped.
        if let Some(bad) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            let bad = if bad.is_empty() { "an empty text".to_owned() } else { format!("`{bad}`") };
            return Err(Error::Usage(format!("{bad} is not an id")));
        }
        let mut url = self.server.root.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(url)
    }

    /// Asks for the JSON at `segments`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        segments: &[&str],
        query: Query,
    ) -> Result<T, Error> {
        let body = self.get_bytes(ask, segments, query).await?;
        understand(ask, &body)
    }

    /// Asks for whatever is at `segments`, whole.
    pub(crate) async fn get_bytes(&self, ask: &Ask, segments: &[&str], query: Query) -> Result<Bytes, Error> {
        self.get_bytes_at(ask, segments, query).await.map(|(body, _)| body)
    }

    /// Asks for whatever is at `segments`, whole, as of some time.
    pub(crate) async fn get_bytes_as_of(
        &self,
        ask: &Ask,
        segments: &[&str],
        query: Query,
        as_of: &AsOf,
    ) -> Result<Bytes, Error> {
        self.get_bytes_at_as_of(ask, segments, query, as_of).await.map(|(body, _)| body)
    }

    /// The same, with the position in the log that the answer reflects.
    pub(crate) async fn get_bytes_at_as_of(
        &self,
        ask: &Ask,
        segments: &[&str],
        mut query: Query,
        as_of: &AsOf,
    ) -> Result<(Bytes, Option<u64>), Error> {
        query.extend(as_of.query());
        let mut url = self.url(segments)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let response = self.send(ask, self.http.get(url)).await?;
        let position = position_of(&response);
        // A server without a log takes no notice of the question's time, and would seem to have answered it.
        if as_of.is_past() && position.is_none() {
            return Err(Error::NoPast);
        }
        let body = whole_body(ask, response).await?;
        as_of.say(self, position).await;
        Ok((body, position))
    }

    /// Asks for whatever is at `url`, to be read bit by bit.
    pub(crate) async fn stream(&self, ask: &Ask, url: Url) -> Result<Response, Error> {
        // Without this word a server may keep the checksum behind the bytes to itself.
        self.send(ask, self.http.get(url).header(reqwest::header::TE, "trailers")).await
    }

    /// The same, beginning behind a position, if a header with one is given.
    pub(crate) async fn stream_after(
        &self,
        ask: &Ask,
        url: Url,
        after: Option<(&str, u64)>,
    ) -> Result<Response, Error> {
        let request = self.http.get(url);
        let request = match after {
            Some((header, after)) => request.header(header, after),
            None => request,
        };
        self.send(ask, request).await
    }

    /// As [`Self::get`], with the position in the log that the answer reflects; an original server does not tell it.
    pub(crate) async fn get_at<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        segments: &[&str],
        query: Query,
    ) -> Result<(T, Option<u64>), Error> {
        let (body, position) = self.get_bytes_at(ask, segments, query).await?;
        Ok((understand(ask, &body)?, position))
    }

    /// As [`Self::get_bytes`], with the position in the log that the answer reflects.
    pub(crate) async fn get_bytes_at(
        &self,
        ask: &Ask,
        segments: &[&str],
        query: Query,
    ) -> Result<(Bytes, Option<u64>), Error> {
        let mut url = self.url(segments)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let response = self.send(ask, self.http.get(url)).await?;
        let position = position_of(&response);
        Ok((whole_body(ask, response).await?, position))
    }

    /// Sends a JSON body, or none, and reads a JSON answer.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        method: Method,
        segments: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Error> {
        self.change_with(ask, method, segments, Query::new(), body).await
    }

    /// The same with a query; the body is left out only where there is none.
    pub(crate) async fn change_with<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        method: Method,
        segments: &[&str],
        query: Query,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Error> {
        let request = match body.map(serde_json::to_vec) {
            None => self.bodiless(method, segments)?,
            Some(json) => {
                let json = json.map_err(|source| Error::Unintelligible { ask: ask.clone(), source })?;
                let mut url = self.url(segments)?;
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                let request = self.http.request(method, url);
                request.header(reqwest::header::CONTENT_TYPE, api::JSON).body(json)
            }
        };
        let response = self.send(ask, request).await?;
        understood(ask, response).await
    }

    /// Sends no body, and asks for whatever is answered, whole.
    pub(crate) async fn order_bytes(&self, ask: &Ask, segments: &[&str]) -> Result<Bytes, Error> {
        let response = self.send(ask, self.post(segments)?).await?;
        whole_body(ask, response).await
    }

    /// Sends a JSON body, and answers what is to be read bit by bit. How far it is is shown otherwise.
    pub(crate) async fn order_stream(
        &self,
        ask: &Ask,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<Response, Error> {
        let json = serde_json::to_vec(body);
        let json = json.map_err(|source| Error::Unintelligible { ask: ask.clone(), source })?;
        let request = self.post(segments)?.header(reqwest::header::CONTENT_TYPE, api::JSON).body(json);
        self.send_unseen(ask, request).await
    }

    /// Sends no body to `url`, and answers what is to be read bit by bit.
    pub(crate) async fn order_at(&self, ask: &Ask, url: Url) -> Result<Response, Error> {
        self.send_unseen(ask, self.http.post(url)).await
    }

    /// Sends a history to `url`. How far it is is shown otherwise.
    pub(crate) async fn send_history(&self, ask: &Ask, url: Url, history: reqwest::Body) -> Result<Response, Error> {
        let request = self.http.post(url).header(reqwest::header::CONTENT_TYPE, api::OCTET_STREAM).body(history);
        self.send_unseen(ask, request).await
    }

    /// Sends no body and does not care about the answer's.
    pub(crate) async fn command(&self, ask: &Ask, method: Method, segments: &[&str]) -> Result<(), Error> {
        let response = self.send(ask, self.bodiless(method, segments)?).await?;
        whole_body(ask, response).await.map(drop)
    }

    /// A `PUT` without a body says so: some proxies insist on a length.
    fn bodiless(&self, method: Method, segments: &[&str]) -> Result<reqwest::RequestBuilder, Error> {
        let is_put = method == Method::PUT;
        let request = self.http.request(method, self.url(segments)?);
        Ok(if is_put { request.header(reqwest::header::CONTENT_LENGTH, 0) } else { request })
    }

    /// Starts a request that the caller fills.
    pub(crate) fn post(&self, segments: &[&str]) -> Result<reqwest::RequestBuilder, Error> {
        Ok(self.http.post(self.url(segments)?))
    }

    /// Sends and tells success from error: any status below 300 is success, as for the original. On a terminal it is
    /// shown what is waited for, until something is printed.
    async fn send(&self, ask: &Ask, request: reqwest::RequestBuilder) -> Result<Response, Error> {
        waiting::begin(&format_args!("the server to {ask}"));
        self.send_unseen(ask, request).await
    }

    /// The same, but how far it is is shown otherwise.
    pub(crate) async fn send_unseen(&self, ask: &Ask, request: reqwest::RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|source| self.failed(ask, source))?;
        let status = response.status();
        if status < StatusCode::MULTIPLE_CHOICES {
            return Ok(response);
        }
        let see = response.headers().get(api::SEE_HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body = whole_body(ask, response).await.unwrap_or_default();
        Err(Error::Refused(Box::new(Refusal::parse(ask.clone(), status.as_u16(), &body, see))))
    }

    fn failed(&self, ask: &Ask, source: reqwest::Error) -> Error {
        if let Some(path) = self.socket.clone().filter(|_| source.is_connect()) {
            Error::NoSocket { path, source: source.without_url() }
        } else if source.is_connect() || source.is_timeout() {
            let Server { root, by_default, .. } = &self.server;
            Error::Unreachable { server: root.to_string(), by_default: *by_default, source: source.without_url() }
        } else {
            connection_lost(ask)(source)
        }
    }
}

/// The position in the log that an answer reflects; an original server does not tell it.
pub(crate) fn position_of(response: &Response) -> Option<u64> {
    response.headers().get(api::POSITION_HEADER).and_then(|text| text.to_str().ok()?.parse().ok())
}

/// Reads the JSON of an answer.
pub(crate) async fn understood<T: DeserializeOwned>(ask: &Ask, response: Response) -> Result<T, Error> {
    understand(ask, &whole_body(ask, response).await?)
}

/// For [`Result::map_err`] of a transfer that has begun.
pub(crate) fn connection_lost(ask: &Ask) -> impl FnOnce(reqwest::Error) -> Error {
    let ask = ask.clone();
    move |source| Error::ConnectionLost { ask, source: source.without_url() }
}

/// Puts the pieces into one text as they come: gathered first, a long answer would be there twice.
async fn whole_body(ask: &Ask, mut response: Response) -> Result<Bytes, Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(connection_lost(ask))? {
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}

/// Reads JSON, whose texts may stay in `body`.
pub(crate) fn understand<'b, T: Deserialize<'b>>(ask: &Ask, body: &'b [u8]) -> Result<T, Error> {
    api::decode(body).map_err(|source| Error::Unintelligible { ask: ask.clone(), source })
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(root: &str) -> Client {
        Client::new(Server { root: Url::parse(root).unwrap(), ca_pem: None, by_default: false }).unwrap()
    }

    #[test]
    fn ids_are_escaped_and_cannot_leave_their_place() {
        let client = client("http://127.0.0.1:1/api");
        let url = |id: &str| client.url(&["runs", id, "log"]).map(|url| url.to_string());
        assert_eq!(url("a/b?c#d e%2f").unwrap(), "http://127.0.0.1:1/api/runs/a%2Fb%3Fc%23d%20e%252f/log");
        for bad in ["", ".", ".."] {
            assert!(matches!(url(bad), Err(Error::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (url, expected) in [
            ("http://localhost:1/", true),
            ("http://127.0.0.2/", true),
            ("http://[::1]/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
