//! BOSH: XMPP over HTTP requests (XEP-0124, XEP-0206), as a state machine without I/O.
//!
//! HTTP itself, TLS, proxies and cookies are the driver's affair; what the frames say is the
//! [`Connection`](crate::Connection)'s, which goes on speaking RFC 7395 as over a WebSocket.
//!
//! ```text
//! Connection ── Action::Transmit ─► send ─► Session ─► poll_request ─► POST
//! Connection ◄─ Input::Received ◄── poll_frame ◄─ Session ◄─ handle_response ◄─ its reply
//! ```
//!
//! | frame | body |
//! |---|---|
//! | the first `<open/>` | the request that creates the session |
//! | a later `<open/>` | `xmpp:restart='true'`, on its own |
//! | `<close/>` | `type='terminate'`, with what still waits |
//! | anything else | payload, several to a body |
//!
//! A body is asked for again, byte for byte, when its HTTP exchange broke; the server knows it by
//! its `rid` and does nothing twice. At most two requests are ever under way, of which one is
//! empty and waits for what the server has to say.
//!
//! ```
//! use epode_proto::{Time, bosh::{Options, Response, Session}, framing::websocket};
//!
//! let mut session = Session::new(Options::default())?;
//! session.send(websocket::open("example.org", None, "en").to_xml().as_bytes())?;
//! let request = session.poll_request(Time::ZERO).expect("the session is to be created");
//! // … POST request.body …
//! let body = b"<body xmlns='http://jabber.org/protocol/httpbind' sid='a1' wait='60' requests='2'/>";
//! session.handle_response(Time::ZERO, request.id, Response { status: 200, body });
//! let frame = session.poll_frame().expect("the stream is open");
//! assert!(frame.as_bytes().starts_with(b"<open "));
//! assert_eq!(session.sid(), Some("a1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attachment;
mod condition;
mod end;
mod granted;
mod keys;
mod options;
mod outbox;
mod pace;
mod reply;
mod request;
mod session;
mod travel;
mod window;

pub use self::{
    attachment::{Attachment, AttachmentError, RestoreError},
    condition::Condition,
    end::{AttachError, End, Failure, Fault, NoRandomness, PauseError, SendError},
    granted::Granted,
    options::{Limits, Options, Patience},
    request::{Request, RequestId},
    session::{Response, Session},
};

/// The namespace of `<body/>` (XEP-0124).
const HTTP_BIND: &str = "http://jabber.org/protocol/httpbind";
/// The namespace of what XMPP adds to it (XEP-0206).
const XBOSH: &str = "urn:xmpp:xbosh";
/// The largest request id, which a double-precision number still holds exactly (XEP-0124,
/// section 14.1).
const MAX_RID: u64 = (1 << 53) - 1;
/// No server's is nearly as long.
const LONGEST_SID: usize = 1024;
