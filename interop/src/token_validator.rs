//! An HTTPS service that says whether a bearer token is good, as Prosody's OAUTHBEARER asks.
//!
//! One answer a connection, no keep-alive, nothing but `GET /check/<token>`.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{Certificates, Error, certificates::ServerFiles, ports};

/// A running validator. Dropping it ends its thread.
#[derive(Debug)]
pub struct TokenValidator {
    port: u16,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TokenValidator {
    /// Serves on a free port of 127.0.0.1, with the servers' certificate, and calls `token` good.
    ///
    /// # Errors
    /// [`Error::Port`] without a port, [`Error::File`] and [`Error::Tls`] for the certificate.
    pub fn start(certificates: &Certificates, token: &str) -> Result<Self, Error> {
        let config = Arc::new(server_config(certificates.server())?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Port)?;
        let port = listener.local_addr().map_err(Error::Port)?.port();
        let ending = Arc::new(AtomicBool::new(false));
        let path = format!("/check/{token}");
        let thread = thread::spawn({
            let ending = Arc::clone(&ending);
            move || {
                while let Ok((socket, _)) = listener.accept() {
                    if ending.load(Ordering::Acquire) {
                        return;
                    }
                    // A client that breaks off harms only itself.
                    let _ = answer(socket, Arc::clone(&config), &path);
                }
            }
        });
        Ok(Self { port, ending, thread: Some(thread) })
    }

    /// The URL that a token is appended to.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/check/", self.port)
    }
}

impl Drop for TokenValidator {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // The thread waits in `accept`: a connection wakes it. Without one it ends with us.
        if ports::connect(self.port).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// TLS for a server of the rig, without client certificates.
///
/// # Errors
/// [`Error::File`] for a file that cannot be read, [`Error::Tls`] for what is in it.
pub(crate) fn server_config(certificate: &ServerFiles) -> Result<ServerConfig, Error> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls::pki_types::pem::Error| Error::File {
            action: "read",
            path,
            source: io::Error::other(error),
        }
    };
    let chain = CertificateDer::pem_file_iter(&certificate.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&certificate.chain))?;
    let key =
        PrivateKeyDer::from_pem_file(&certificate.key).map_err(unreadable(&certificate.key))?;
    Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

fn answer(socket: TcpStream, config: Arc<ServerConfig>, good_path: &str) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    let head = read_head(&mut stream)?;
    let status = if asks_for(&head, good_path) { "200 OK" } else { "401 Unauthorized" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Reads up to the empty line that ends a request's head.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1_024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        if count == 0 || head.len() + count > LARGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&chunk[..count]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn asks_for(head: &str, path: &str) -> bool {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    words.next() == Some("GET") && words.next() == Some(path)
}

/// A client that is silent for so long is gone; the next one waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A token and a few headers.
const LARGEST_HEAD: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        sync::Arc,
    };

    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, StreamOwned,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    };

    use super::{TokenValidator, asks_for, read_head};
    use crate::Rig;

    #[test]
    fn one_token_is_good() {
        let rig = Rig::new().unwrap();
        let validator = TokenValidator::start(rig.certificates(), "right").unwrap();
        let status =
            |path: &str| request(&rig, &validator, &format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert_eq!(status("/check/right"), "HTTP/1.1 200 OK");
        for path in ["/check/wrong", "/check/right/", "/check/", "/", "/check/right%20"] {
            assert_eq!(status(path), "HTTP/1.1 401 Unauthorized", "{path}");
        }
    }

    #[test]
    fn a_client_that_speaks_no_tls_stops_nobody() {
        let rig = Rig::new().unwrap();
        let validator = TokenValidator::start(rig.certificates(), "right").unwrap();
        let mut socket = TcpStream::connect(("127.0.0.1", validator.port)).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        drop(socket);
        let good = request(&rig, &validator, "GET /check/right HTTP/1.1\r\n\r\n");
        assert_eq!(good, "HTTP/1.1 200 OK");
    }

    #[test]
    fn only_a_get_of_the_path_counts() {
        assert!(asks_for("GET /check/t HTTP/1.1\r\nHost: a\r\n\r\n", "/check/t"));
        for head in ["", "GET", "POST /check/t HTTP/1.1", "\r\nGET /check/t HTTP/1.1"] {
            assert!(!asks_for(head, "/check/t"), "{head:?}");
        }
    }

    #[test]
    fn a_head_has_an_end_and_a_limit() {
        assert_eq!(read_head(&mut &b"a\r\n\r\nb"[..]).unwrap(), "a\r\n\r\nb");
        for bytes in [&b"a\r\n"[..], &[b'a'; 17 * 1_024][..]] {
            let kind = read_head(&mut &*bytes).unwrap_err().kind();
            assert_eq!(kind, std::io::ErrorKind::InvalidData);
        }
    }

    fn request(rig: &Rig, validator: &TokenValidator, text: &str) -> String {
        let mut roots = RootCertStore::empty();
        let authority = rig.certificates().authority().pem();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(("127.0.0.1", validator.port)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(text.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.lines().next().unwrap_or_default().to_owned()
    }
}
