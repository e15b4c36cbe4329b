//! Handlers that run, wait, panic and change their own list, with paused time.

use std::{
    future, mem,
    ops::ControlFlow::{self, Break, Continue},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use epode_proto::{
    Element,
    dispatch::{HandlerId, Pattern, TooManyHandlers},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Handlers, Router,
    stream::{STREAM_ROOM, STREAM_STANZAS},
};

const LIMIT: usize = 100;
const SECOND: Duration = Duration::from_secs(1);

/// What handlers did, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    /// A handler that notes this and stays.
    fn noting(&self, what: &'static str) -> impl FnMut(&Element) -> ControlFlow<()> + use<> {
        self.ending(what, Continue(()))
    }

    fn ending(
        &self,
        what: &'static str,
        end: ControlFlow<()>,
    ) -> impl FnMut(&Element) -> ControlFlow<()> + use<> {
        let log = self.clone();
        move |_| {
            log.note(what);
            end
        }
    }

    /// A timed handler that notes this and stays.
    fn ticking(&self, what: &'static str) -> impl FnMut() -> ControlFlow<()> + use<> {
        let log = self.clone();
        move || {
            log.note(what);
            Continue(())
        }
    }

    #[track_caller]
    fn assert(&self, expected: &[&str]) {
        assert_eq!(mem::take(&mut *self.0.lock().unwrap()), expected);
    }
}

fn iq() -> Element {
    Element::new("iq", "jabber:client")
}

fn message(text: &str) -> Element {
    Element::new("message", "jabber:client").with_text(text)
}

/// Whether it goes on waiting.
async fn waits(work: impl Future) -> bool {
    timeout(SECOND, work).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn each_runs_to_its_end_before_the_next() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    handlers.add(Pattern::iq(), log.noting("first")).unwrap();
    let slow = log.clone();
    let asynchronous = move |stanza: Element| {
        let log = slow.clone();
        async move {
            assert!(stanza.is("iq", "jabber:client"));
            log.note("begins");
            sleep(SECOND).await;
            log.note("ends");
            Continue(())
        }
    };
    handlers.add_async(Pattern::iq(), asynchronous).unwrap();
    handlers.add(Pattern::message(), log.noting("message")).unwrap();
    handlers.add(Pattern::any(), log.noting("last")).unwrap();
    for _ in 0..2 {
        assert!(router.dispatch(&iq()).await);
        log.assert(&["first", "begins", "ends", "last"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stanza_is_taken_if_a_handler_ran() {
    let (mut router, handlers) = Router::new(LIMIT);
    assert!(!router.dispatch(&iq()).await);
    let log = Log::default();
    handlers.add(Pattern::message(), log.noting("message")).unwrap();
    assert!(!router.dispatch(&iq()).await);
    assert!(router.dispatch(&message("")).await);
    handlers.add(Pattern::iq(), |_| panic!("on purpose")).unwrap();
    assert!(!router.dispatch(&iq()).await, "nobody came to an end");
    handlers.add(Pattern::iq(), log.ending("once", Break(()))).unwrap();
    assert!(router.dispatch(&iq()).await);
    assert!(!router.dispatch(&iq()).await);
}

#[tokio::test(start_paused = true)]
async fn break_removes_and_continue_keeps() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    let once = handlers.add(Pattern::iq(), log.ending("once", Break(()))).unwrap();
    let kept = handlers.add(Pattern::iq(), log.noting("kept")).unwrap();
    let ended = log.clone();
    let asynchronous = move |_| {
        ended.note("async");
        async { Break(()) }
    };
    handlers.add_async(Pattern::iq(), asynchronous).unwrap();
    router.dispatch(&iq()).await;
    router.dispatch(&iq()).await;
    log.assert(&["once", "kept", "async", "kept"]);
    assert!(!handlers.remove(once));
    assert!(handlers.remove(kept));
    assert!(!handlers.remove(kept));
    assert!(!router.dispatch(&iq()).await);
}

#[tokio::test(start_paused = true)]
async fn a_panic_removes_its_handler_alone() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    let ids: Vec<HandlerId> = vec![
        handlers.add(Pattern::iq(), |_| panic!("on purpose")).unwrap(),
        handlers.add_async(Pattern::iq(), async |_| panic!("on purpose")).unwrap(),
        handlers.add_async(Pattern::iq(), at_once).unwrap(),
        handlers.add(Pattern::iq(), end_of(PanicsWhenDropped)).unwrap(),
        handlers.every(SECOND, || panic!("on purpose")).unwrap(),
    ];
    handlers.add(Pattern::iq(), log.noting("kept")).unwrap();
    handlers.every(SECOND, log.ticking("tick")).unwrap();
    router.dispatch(&iq()).await;
    router.next_timer().await;
    log.assert(&["kept", "tick"]);
    assert!(ids.into_iter().all(|id| !handlers.remove(id)));
    router.dispatch(&iq()).await;
    router.next_timer().await;
    log.assert(&["kept", "tick"]);

    fn at_once(_: Element) -> future::Ready<ControlFlow<()>> {
        panic!("on purpose")
    }

    fn end_of(value: PanicsWhenDropped) -> impl FnMut(&Element) -> ControlFlow<()> {
        move |_| {
            let _ = &value;
            Break(())
        }
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_may_register_and_remove_handlers() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    let victim = Arc::new(Mutex::new(Vec::new()));
    let (inner, inner_log, victims) = (handlers.clone(), log.clone(), Arc::clone(&victim));
    let first = move |_: &Element| {
        inner_log.note("first");
        for id in victims.lock().unwrap().drain(..) {
            assert!(inner.remove(id));
        }
        inner.add(Pattern::iq(), inner_log.noting("added")).unwrap();
        Continue(())
    };
    let own = handlers.add(Pattern::iq(), first).unwrap();
    let second = handlers.add(Pattern::iq(), log.noting("second")).unwrap();
    let tick = handlers.every(SECOND, log.ticking("tick")).unwrap();
    handlers.add(Pattern::iq(), log.noting("third")).unwrap();
    victim.lock().unwrap().extend([own, second, tick]);
    router.set_connected(true);
    router.dispatch(&iq()).await;
    log.assert(&["first", "third"]);
    router.dispatch(&iq()).await;
    log.assert(&["third", "added"]);
    assert!(waits(router.next_timer()).await);
}

#[tokio::test(start_paused = true)]
async fn a_handler_removed_while_it_waits_comes_to_its_end() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    let slow = log.clone();
    let handler = move |_| {
        let log = slow.clone();
        async move {
            sleep(SECOND).await;
            log.note("end");
            Continue(())
        }
    };
    let id = handlers.add_async(Pattern::iq(), handler).unwrap();
    let stanza = iq();
    let (taken, ()) = tokio::join!(router.dispatch(&stanza), async {
        sleep(SECOND / 2).await;
        assert!(handlers.remove(id));
    });
    assert!(taken);
    log.assert(&["end"]);
    assert!(!router.dispatch(&stanza).await);
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_that_is_dropped_goes_on_where_it_was() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    handlers.add(Pattern::iq(), log.noting("first")).unwrap();
    handlers
        .add_async(Pattern::iq(), async |_| {
            sleep(5 * SECOND).await;
            Continue(())
        })
        .unwrap();
    handlers.add(Pattern::iq(), log.noting("last")).unwrap();
    let (stanza, began) = (iq(), Instant::now());
    for _ in 0..4 {
        assert!(waits(router.dispatch(&stanza)).await);
    }
    assert!(router.dispatch(&stanza).await);
    assert_eq!(began.elapsed(), 5 * SECOND);
    log.assert(&["first", "last"]);
    assert!(waits(router.dispatch(&stanza)).await, "it is handled anew");
    log.assert(&["first"]);
}

#[tokio::test(start_paused = true)]
async fn timed_handlers_run_once_a_period() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    handlers.every(2 * SECOND, log.ticking("two")).unwrap();
    handlers.every(3 * SECOND, log.ticking("three")).unwrap();
    let began = Instant::now();
    let mut moments = Vec::new();
    for _ in 0..4 {
        router.next_timer().await;
        moments.push(began.elapsed().as_secs());
    }
    assert_eq!(moments, [2, 3, 4, 6]);
    log.assert(&["two", "three", "two", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn timed_handlers_run_only_while_connected() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    handlers.every(SECOND, log.ticking("tick")).unwrap();
    assert!(waits(router.next_timer()).await);
    assert!(waits(router.next_timer()).await);
    for _ in 0..2 {
        router.set_connected(true);
        router.set_connected(true); // not a new connection
        let began = Instant::now();
        router.next_timer().await;
        assert_eq!(began.elapsed(), SECOND);
        router.set_connected(false);
        assert!(waits(router.next_timer()).await);
        log.assert(&["tick"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_timed_handler_missed_is_not_made_up_for() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    handlers.every(SECOND, log.ticking("tick")).unwrap();
    sleep(10 * SECOND + SECOND / 2).await;
    let began = Instant::now();
    router.next_timer().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    router.next_timer().await;
    assert_eq!(began.elapsed(), SECOND);
    log.assert(&["tick", "tick"]);
}

#[tokio::test(start_paused = true)]
async fn a_timed_handler_ends_by_break_or_removal() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    let once = log.clone();
    handlers
        .every(SECOND, move || {
            once.note("once");
            Break(())
        })
        .unwrap();
    let id = handlers.every(SECOND, log.ticking("kept")).unwrap();
    router.next_timer().await;
    router.next_timer().await;
    log.assert(&["once", "kept", "kept"]);
    assert!(handlers.remove(id));
    assert!(!handlers.remove(id));
    assert!(waits(router.next_timer()).await);
}

#[tokio::test(start_paused = true)]
async fn a_timed_handler_that_is_added_later_is_not_overlooked() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    handlers.every(10 * SECOND, log.ticking("late")).unwrap();
    let began = Instant::now();
    tokio::join!(router.next_timer(), async {
        sleep(SECOND).await;
        handlers.every(SECOND, log.ticking("soon")).unwrap();
    });
    assert_eq!(began.elapsed(), 2 * SECOND);
    log.assert(&["soon"]);
}

#[tokio::test(start_paused = true)]
async fn periods_without_sense_are_bounded() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    handlers.every(Duration::MAX, log.ticking("never")).unwrap();
    handlers.every(Duration::ZERO, log.ticking("often")).unwrap();
    let began = Instant::now();
    router.next_timer().await;
    router.next_timer().await;
    assert_eq!(began.elapsed(), Duration::from_millis(2));
    log.assert(&["often", "often"]);
}

#[tokio::test(start_paused = true)]
async fn timed_handlers_do_not_wait_for_the_handlers_of_a_stanza() {
    let (mut router, handlers) = Router::new(LIMIT);
    router.set_connected(true);
    let log = Log::default();
    handlers.every(SECOND, log.ticking("tick")).unwrap();
    handlers
        .add_async(Pattern::iq(), async |_| {
            sleep(3 * SECOND - SECOND / 2).await;
            Continue(())
        })
        .unwrap();
    handlers.add(Pattern::iq(), log.noting("iq")).unwrap();
    router.dispatch(&iq()).await;
    log.assert(&["tick", "tick", "iq"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_what_matches_in_order() {
    let (mut router, handlers) = Router::new(LIMIT);
    let mut stream = handlers.stanzas(Pattern::message()).unwrap();
    assert!(router.dispatch(&message("1")).await);
    assert!(!router.dispatch(&iq()).await);
    assert!(router.dispatch(&message("2")).await);
    assert_eq!(stream.next().await, Some(message("1")));
    assert_eq!(futures_util::StreamExt::next(&mut stream).await, Some(message("2")));
    assert!(waits(stream.next()).await);
    drop(stream);
    assert!(!router.dispatch(&message("3")).await);
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_makes_the_stanza_wait() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    let mut stream = handlers.stanzas(Pattern::message()).unwrap();
    handlers.add(Pattern::message(), log.noting("after")).unwrap();
    for _ in 0..STREAM_STANZAS {
        router.dispatch(&message("early")).await;
    }
    log.assert(&["after"; STREAM_STANZAS]);
    let late = message("late");
    assert!(waits(router.dispatch(&late)).await);
    assert!(waits(router.dispatch(&late)).await);
    log.assert(&[]);
    assert_eq!(stream.next().await, Some(message("early")));
    assert!(router.dispatch(&late).await);
    log.assert(&["after"]);
    for _ in 1..STREAM_STANZAS {
        assert_eq!(stream.next().await, Some(message("early")));
    }
    assert_eq!(stream.next().await, Some(late));
    assert!(waits(stream.next()).await, "none came twice");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_full_of_bytes_too() {
    let (mut router, handlers) = Router::new(LIMIT);
    let mut stream = handlers.stanzas(Pattern::message()).unwrap();
    let huge = message(&"x".repeat(STREAM_ROOM + 1));
    assert!(router.dispatch(&huge).await, "there is room for one of any size");
    let small = message("");
    assert!(waits(router.dispatch(&small)).await);
    assert_eq!(stream.next().await, Some(huge));
    assert!(router.dispatch(&small).await);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_stream_that_is_dropped() {
    let (mut router, handlers) = Router::new(LIMIT);
    let log = Log::default();
    let by_count = handlers.stanzas(Pattern::message()).unwrap();
    let by_bytes = handlers.stanzas(Pattern::iq()).unwrap();
    handlers.add(Pattern::any(), log.noting("after")).unwrap();
    for _ in 0..STREAM_STANZAS {
        router.dispatch(&message("")).await;
    }
    let huge = iq().with_text("x".repeat(STREAM_ROOM));
    router.dispatch(&huge).await;
    log.assert(&["after"; STREAM_STANZAS + 1]);
    for (stanza, stream) in [(message(""), by_count), (huge, by_bytes)] {
        assert!(waits(router.dispatch(&stanza)).await);
        drop(stream);
        assert!(!waits(router.dispatch(&stanza)).await);
        log.assert(&["after"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_all_kinds_together() {
    let (router, handlers) = Router::new(3);
    let log = Log::default();
    let first = handlers.add(Pattern::iq(), log.noting("")).unwrap();
    handlers.every(SECOND, log.ticking("")).unwrap();
    let stream = handlers.stanzas(Pattern::iq()).unwrap();
    let refused = TooManyHandlers { limit: 3 };
    assert_eq!(handlers.add(Pattern::iq(), log.noting("")), Err(refused));
    assert_eq!(handlers.add_async(Pattern::iq(), async |_| Continue(())), Err(refused));
    assert_eq!(handlers.every(SECOND, log.ticking("")), Err(refused));
    assert_eq!(handlers.stanzas(Pattern::iq()).unwrap_err(), refused);
    // What is refused is dropped, and with it a stream, which is removed by that.
    let holder = move |_: &Element| {
        let _ = &stream;
        Continue(())
    };
    assert_eq!(handlers.add(Pattern::iq(), holder), Err(refused));
    assert!(handlers.add(Pattern::iq(), log.noting("")).is_ok());
    assert!(handlers.remove(first));
    assert!(handlers.add(Pattern::iq(), log.noting("")).is_ok());
    drop(router);
}

#[tokio::test(start_paused = true)]
async fn when_it_is_over_nothing_is_kept() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (mut router, handlers) = Router::new(LIMIT);
    let keep = |handlers: &Handlers| {
        let (own, mark) = (handlers.clone(), Mark(Arc::clone(&dropped)));
        move |_: &Element| {
            let _ = (&own, &mark);
            Continue(())
        }
    };
    let mut stream = handlers.stanzas(Pattern::message()).unwrap();
    let other = handlers.stanzas(Pattern::presence()).unwrap();
    let holder = keep(&handlers);
    handlers.add(Pattern::iq(), keep(&handlers)).unwrap();
    handlers.every(SECOND, move || holder(&iq())).unwrap();
    handlers
        .add(Pattern::iq(), move |_| {
            let _ = &other;
            Continue(())
        })
        .unwrap();
    router.dispatch(&message("1")).await;
    drop(router);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    assert_eq!(stream.next().await, Some(message("1")));
    assert_eq!(stream.next().await, None);
    let late = handlers.add(Pattern::iq(), keep(&handlers)).unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    assert!(!handlers.remove(late));
    assert_eq!(handlers.stanzas(Pattern::any()).unwrap().next().await, None);

    struct Mark(Arc<AtomicUsize>);

    impl Drop for Mark {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn what_the_session_drives_can_be_sent_to_a_task() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (mut router, handlers) = is_send(Router::new(LIMIT));
    drop(is_send(router.dispatch(&iq())));
    drop(is_send(router.next_timer()));
    assert_eq!(format!("{handlers:?}"), "Handlers { .. }");
}
