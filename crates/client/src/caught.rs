//! The application's code, which may panic: what it gives, or nothing.
//! What then becomes of whoever wanted it is decided there.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// What the application's code returns; nothing if it panics.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// What a future of the application's comes to; nothing if it panics. It may then only be dropped.
pub(crate) async fn outcome<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
    let poll = |cx: &mut Context<'_>| match caught(|| future.as_mut().poll(cx)) {
        Some(poll) => poll.map(Some),
        None => Poll::Ready(None),
    };
    poll_fn(poll).await
}

/// Drops what is the application's, which may panic.
pub(crate) fn discard<T>(thing: T) {
    if caught(|| drop(thing)).is_none() {
        tracing::error!("the application's code panicked when it was dropped");
    }
}
