//! The sessions whose connections broke: each waits to be resumed, for as long as it was promised.
//!
//! Leaves out the resumption: it takes the session out of the hands of this.

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::seat::Seat;
use crate::hub::Delivery;

/// Keeps the session of a connection that broke, and collects what comes for it. It ends when its
/// time is over, when more has come than may wait, or when its address is taken.
///
/// Time passes in a task of the runtime that the connection was dropped in. Without one the session
/// ends at once, and so it does if it was promised nothing.
pub(super) fn begin(seat: Seat) {
    let (Some(time), Ok(runtime)) = (seat.resumable_for(), Handle::try_current()) else { return };
    runtime.spawn(async move {
        let collected = async { while let Some(Delivery::Stanza(_)) = seat.delivery().await {} };
        // Either way it is over, unless another has taken it.
        let _ = timeout(time, collected).await;
    });
}
