//! XML as XMPP uses it: elements, a reader that trusts nobody, and a writer.
//!
//! No document types, entities, comments or processing instructions (RFC 6120, section 11.1), and
//! no prefixes: names are pairs of a namespace and a local name. What the elements mean is
//! decided elsewhere.
//!
//! ```
//! use epode_proto::xml::{Element, namespaces};
//!
//! let message = Element::new("message", namespaces::CLIENT)
//!     .with_attr("to", "bob@example.org")
//!     .with_child(Element::new("body", namespaces::CLIENT).with_text("1 < 2"));
//! let xml = message.to_xml();
//! assert_eq!(
//!     xml,
//!     "<message xmlns='jabber:client' to='bob@example.org'><body>1 &lt; 2</body></message>"
//! );
//! assert_eq!(Element::parse(&xml).unwrap(), message);
//! ```

mod element;
mod error;
mod limits;
pub mod namespaces;
mod reader;
mod writer;

pub use element::{Element, Node};
pub use error::XmlError;
pub(crate) use error::is_xml_char;
pub use limits::Limits;
pub use reader::{StreamEvent, StreamReader, parse_document};
pub(crate) use writer::append_attribute;
pub use writer::{Scope, write};
