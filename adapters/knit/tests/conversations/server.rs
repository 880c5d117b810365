//! A server that says what the test tells it to, and remembers what it was asked.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the program asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Request {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    Trailer(String),
    /// Time for what came before to be sent.
    Pause,
    /// Silence.
    Wait(Duration),
    Break,
}

impl Reply {
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), pieces: vec![Piece::Bytes(bytes.into())] }
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::bytes(value.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::json(&serde_json::json!({ "message": message })).status(status)
    }

    pub(crate) fn nothing(status: u16) -> Self {
        Self { status, headers: Vec::new(), pieces: Vec::new() }
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Followed by the checksum in a trailer.
    pub(crate) fn md5(mut self, md5: &str) -> Self {
        self.pieces.push(Piece::Trailer(md5.to_owned()));
        self.header("trailer", "x-checksum-md5")
    }

    /// Goes on with `bytes` after a while.
    pub(crate) fn later(mut self, wait: Duration, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.extend([Piece::Wait(wait), Piece::Bytes(bytes.into())]);
        self
    }

    /// Ends by breaking the connection.
    pub(crate) fn broken(mut self) -> Self {
        self.pieces.extend([Piece::Pause, Piece::Break]);
        self
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.pieces.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match self.pieces.remove(0) {
            Piece::Bytes(bytes) => Ok(Frame::data(bytes.into())),
            Piece::Pause => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Piece::Wait(wait) => {
                let waker = cx.waker().clone();
                std::thread::spawn(move || {
                    std::thread::sleep(wait);
                    waker.wake();
                });
                return Poll::Pending;
            }
            Piece::Break => Err(io::ErrorKind::BrokenPipe.into()),
            Piece::Trailer(md5) => Ok(Frame::trailers(HeaderMap::from_iter([(
                HeaderName::from_static("x-checksum-md5"),
                HeaderValue::from_str(&md5).unwrap(),
            )]))),
        }))
    }
}

/// An address at which nobody listens, and nobody else comes to: the near end of a connection has it.
pub(crate) struct Nobody {
    connection: std::net::TcpStream,
    _far_end: std::net::TcpListener,
}

impl Nobody {
    pub(crate) fn new() -> Self {
        let far_end = std::net::TcpListener::bind(NO_MATTER_WHERE).unwrap();
        let connection = std::net::TcpStream::connect(far_end.local_addr().unwrap()).unwrap();
        Self { connection, _far_end: far_end }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.connection.local_addr().unwrap())
    }
}

/// A free port of this machine.
const NO_MATTER_WHERE: &str = "127.0.0.1:0";

type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A server for one test; it is gone when the test is over.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    is_tls: bool,
    requests: Arc<Mutex<Vec<Request>>>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(script, None, NO_MATTER_WHERE).unwrap()
    }

    /// At an address of this machine, unless another program is there already.
    pub(crate) fn start_at(
        address: &str,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::listen(script, None, address)
    }

    /// With a certificate that only the authority in `tls/` vouches for, and HTTP/2 on offer.
    pub(crate) fn start_tls(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self::listen(script, Some(TlsAcceptor::from(Arc::new(config))), NO_MATTER_WHERE).unwrap()
    }

    fn listen(
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
        address: &str,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (is_tls, record, script): (_, _, Script) = (tls.is_some(), Arc::clone(&requests), Arc::new(script));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, tls, script, record) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, is_tls, requests, _stop: stop })
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Method and target of every request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, script: Script, record: Arc<Mutex<Vec<Request>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, script, record) = (tls.clone(), Arc::clone(&script), Arc::clone(&record));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, script, record).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, script, record).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    script: Script,
    record: Arc<Mutex<Vec<Request>>>,
) {
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (script, record) = (Arc::clone(&script), Arc::clone(&record));
        async move {
            let request = whole(request).await;
            let reply = script(&request);
            record.lock().unwrap().push(request);
            let mut builder = http::Response::builder().status(reply.status);
            for (name, value) in &reply.headers {
                builder = builder.header(*name, value);
            }
            Ok::<_, Infallible>(builder.body(reply).unwrap())
        }
    });
    // A connection that the program breaks off is a legitimate end.
    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Reads everything the program sends. A body that breaks off stays as short as it is.
async fn whole(request: http::Request<hyper::body::Incoming>) -> Request {
    let (parts, mut incoming) = request.into_parts();
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(Ok(frame)) = incoming.frame().await {
        match frame.into_data() {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    Request { method: parts.method.to_string(), target, version: parts.version, headers: parts.headers, body, trailers }
}
