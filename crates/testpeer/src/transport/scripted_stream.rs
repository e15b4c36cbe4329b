//! Plays a transcript over a byte stream (RFC 6120), and over TLS from where it says so.
//!
//! Leaves out the framing, which the player has.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::scripted::PATIENCE;
use super::shutdown::Shutdown;
use super::tcp;
use super::tls::{Entrance, Tls};
use crate::script::{Mismatch, Outgoing, Player};

/// Plays until the client leaves, or to the step that drops the transport.
pub(super) async fn play<S>(
    mut stream: S,
    player: &mut Player,
    tls: Option<&Tls>,
) -> Result<(), Mismatch>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outgoing = player.opened();
    let rest = converse(&mut stream, player, outgoing).await?;
    let (Some(rest), Some(tls)) = (rest, tls) else { return Ok(()) };
    // Whoever plays gives up in time, here as elsewhere.
    let secured = tls.accept(Entrance::StartTls, stream, &mut Shutdown::never()).await;
    let Some((mut stream, _)) = secured else { return Ok(()) };
    converse(&mut stream, player, rest).await.map(drop)
}

/// Plays as far as a handshake of TLS; gives what is to be sent after it.
async fn converse<S>(
    stream: &mut S,
    player: &mut Player,
    mut outgoing: Vec<Outgoing>,
) -> Result<Option<Vec<Outgoing>>, Mismatch>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = [0; BUFFER];
    loop {
        let mut steps = outgoing.into_iter();
        while let Some(step) = steps.next() {
            match step {
                Outgoing::Frame(bytes) | Outgoing::Binary(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return Ok(None);
                    }
                }
                Outgoing::Ping => {}
                Outgoing::Secure => {
                    let flushed = stream.flush().await;
                    return Ok(flushed.is_ok().then(|| steps.collect()));
                }
                Outgoing::Close => {
                    tcp::close(stream, PATIENCE).await;
                    return Ok(None);
                }
            }
        }
        if stream.flush().await.is_err() {
            return Ok(None);
        }
        outgoing = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(length) => player.receive(&buffer[..length])?,
        };
    }
}

const BUFFER: usize = 8 * 1024;
