//! The tokens of FAST (XEP-0484): two for each client, the one in use and the one that follows it.
//!
//! Leaves out the mechanisms that show them, and the XML.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::random;
use crate::sasl::{SaslCondition, hashed_token};

/// How the server gives tokens, as its builder was told.
#[derive(Debug)]
pub(crate) struct FastOptions {
    /// None of them: there are no tokens.
    pub(crate) mechanisms: Vec<String>,
    pub(crate) life: Duration,
    /// After how many hundredths of its life a token is due for rotation.
    pub(crate) rotation: u32,
    pub(crate) clock: Clock,
    /// An old token ends when a new one is given, and not when that is used.
    pub(crate) drops_old: bool,
}

/// Where the time of day comes from.
#[derive(Clone)]
pub(crate) struct Clock(pub(crate) Arc<dyn Fn() -> SystemTime + Send + Sync>);

/// The tokens of one server.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Holder, Slots>>);

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) user: String,
    /// The id by which the client knows itself.
    pub(crate) client: String,
}

/// A token as it goes to its client.
pub(crate) struct Issued {
    pub(crate) token: Zeroizing<String>,
    /// Seconds since 1970.
    pub(crate) expiry: u64,
}

/// XEP-0484, section 5.1.
#[derive(Default)]
struct Slots {
    current: Option<Token>,
    new: Option<Token>,
}

#[derive(Clone)]
struct Token {
    token: Zeroizing<String>,
    /// What it can be used with, and nothing else.
    mechanism: String,
    issued: u64,
    expiry: u64,
    /// How often its client says that it has tried it.
    count: u64,
}

impl Tokens {
    /// Makes a token, which is the client's only new one. `None` when so many clients have tokens
    /// already.
    pub(crate) fn issue(
        &self,
        holder: &Holder,
        mechanism: &str,
        options: &FastOptions,
        limit: usize,
    ) -> Option<Issued> {
        let mut clients = self.lock();
        if clients.len() >= limit && !clients.contains_key(holder) {
            return None;
        }
        let issued = options.clock.seconds();
        let expiry = issued.saturating_add(options.life.as_secs());
        let token = Zeroizing::new(Base64::encode_string(&random::bytes::<32>()));
        let slots = clients.entry(holder.clone()).or_default();
        let (mechanism, count) = (mechanism.to_owned(), 0);
        slots.new = Some(Token { token: token.clone(), mechanism, issued, expiry, count });
        if options.drops_old {
            slots.current = None;
        }
        Some(Issued { token, expiry })
    }

    /// Uses a token of this mechanism that `is_right`, at the client's try `count`; what `answer`
    /// makes of it.
    pub(crate) fn spend<R>(
        &self,
        holder: &Holder,
        mechanism: &str,
        count: Option<u64>,
        now: u64,
        proof: impl Fn(&str) -> Option<R>,
    ) -> Result<R, SaslCondition> {
        let mut clients = self.lock();
        let slots = clients.get_mut(holder).ok_or(SaslCondition::NotAuthorized)?;
        let check = |slot: &Option<Token>| {
            let token = slot.as_ref().filter(|token| token.mechanism == mechanism)?;
            proof(&token.token)
        };
        let (answer, is_new) = match check(&slots.new) {
            Some(answer) => (answer, true),
            None => (check(&slots.current).ok_or(SaslCondition::NotAuthorized)?, false),
        };
        let slot = if is_new { &mut slots.new } else { &mut slots.current };
        let token = slot.as_mut().expect("it was checked");
        if now >= token.expiry {
            return Err(SaslCondition::CredentialsExpired);
        }
        // Whoever has counted once counts for ever.
        if count.map_or(token.count > 0, |count| count <= token.count) {
            return Err(SaslCondition::NotAuthorized);
        }
        token.count = count.unwrap_or_default();
        if is_new {
            slots.current = slots.new.take();
        }
        Ok(answer)
    }

    /// The mechanism of a token that is in use and due for rotation.
    pub(crate) fn due(&self, holder: &Holder, options: &FastOptions) -> Option<String> {
        let clients = self.lock();
        let token = clients.get(holder)?.current.as_ref()?;
        let share = options.life.as_secs().saturating_mul(options.rotation.into()) / 100;
        let is_due = options.clock.seconds() >= token.issued.saturating_add(share);
        is_due.then(|| token.mechanism.clone())
    }

    /// Ends all tokens of a client: a new one that has not reached it is not to outlive the old.
    pub(crate) fn forget(&self, holder: &Holder) {
        self.lock().remove(holder);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, Slots>> {
        // No code panics half way through a change, so the whole is sound in any case.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        self.0().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl fmt::Debug for Tokens {
    /// Without the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("clients", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Default for FastOptions {
    fn default() -> Self {
        Self {
            mechanisms: hashed_token::ALL.map(str::to_owned).to_vec(),
            life: Duration::from_secs(14 * 24 * 60 * 60),
            rotation: 50,
            clock: Clock(Arc::new(SystemTime::now)),
            drops_old: false,
        }
    }
}

/// A moment as XEP-0082 writes it, in UTC. Years beyond 9999 are cut to its end.
pub(crate) fn timestamp(seconds: u64) -> String {
    let seconds = seconds.min(END_OF_9999);
    let (days, time) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    let mut day = days;
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const DAY: u64 = 24 * 60 * 60;
const END_OF_9999: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        // Computed with Python's datetime.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_584_023_775, "2020-03-12T14:36:15Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (END_OF_9999, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds), expected);
        }
    }
}
