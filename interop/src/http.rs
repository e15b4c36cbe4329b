//! One HTTP request to a server of the rig, one answer, and the connection is closed.
//!
//! No TLS, no redirects, no chunks: the servers' own management pages send none.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use crate::ports;

/// A request to a port of 127.0.0.1.
pub(crate) struct Request<'a> {
    pub(crate) port: u16,
    /// The virtual host.
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    /// JSON to post. Without it, the page is only got.
    pub(crate) body: Option<&'a str>,
}

impl Request<'_> {
    /// Sends it and returns the body of the answer.
    ///
    /// # Errors
    /// What the system said, or the whole answer when its status is not 200.
    pub(crate) fn send(&self) -> Result<String, String> {
        let reply = self.exchange().map_err(|error| error.to_string())?;
        match reply.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
            _ => Err(reply),
        }
    }

    fn exchange(&self) -> io::Result<String> {
        let Self { port, host, path, body } = self;
        let mut socket = ports::connect(*port)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let (method, body) = body.map_or(("GET", ""), |body| ("POST", body));
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut reply = String::new();
        socket.take(LARGEST_REPLY).read_to_string(&mut reply)?;
        Ok(reply)
    }
}

/// Requests take milliseconds, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Accounts and tokens have far shorter ones.
const LARGEST_REPLY: u64 = 64 * 1_024;

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::Request;

    #[test]
    fn the_body_of_200_is_the_answer() {
        let (asked, answer) = exchange(None, "HTTP/1.1 200 OK\r\nA: b\r\n\r\nyes");
        assert_eq!((asked.as_str(), answer), ("GET /p HTTP/1.1", Ok("yes".to_owned())));
        let (asked, answer) = exchange(Some("{}"), "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!((asked.as_str(), answer), ("POST /p HTTP/1.1", Ok(String::new())));
    }

    #[test]
    fn anything_else_is_shown_as_it_came() {
        for reply in ["HTTP/1.1 404 Not Found\r\n\r\nno", "HTTP/1.1 200 OK\r\n", "", "200"] {
            assert_eq!(exchange(None, reply).1, Err(reply.to_owned()));
        }
    }

    fn exchange(body: Option<&str>, reply: &'static str) -> (String, Result<String, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            // All of the request is read: closing with some unread would reset the connection.
            let mut lines = BufReader::new(&socket).lines().map_while(Result::ok);
            let first = lines.next().unwrap();
            let length: usize = lines
                .by_ref()
                .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
                .unwrap();
            assert!(lines.any(|line| line.is_empty()));
            assert!(length <= 2);
            socket.write_all(reply.as_bytes()).unwrap();
            first
        });
        let answer = Request { port, host: "h", path: "/p", body }.send();
        (server.join().unwrap(), answer)
    }
}
