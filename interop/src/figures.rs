//! What came of numbered messages that were to arrive all, once and in order.
//!
//! Who sent them, and through what, is not known here.

use std::{collections::HashSet, fmt};

/// What both sides heard, and what it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) messages: usize,
    /// Connections that were cut, or processes that were killed.
    pub(crate) blows: u32,
    pub(crate) resumed: u32,
    pub(crate) new: u32,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// How often a number came after a higher one, without those that came twice.
    pub(crate) disordered: usize,
    pub(crate) seconds: f64,
    /// Of this process alone.
    pub(crate) trouble: Vec<String>,
}

impl Figures {
    /// Adds what one side heard of the numbers from 1 on.
    pub(crate) fn hear(&mut self, expected: usize, numbers: &[usize]) {
        let mut known = HashSet::new();
        let mut highest = 0;
        for &number in numbers {
            let is_new = known.insert(number);
            self.doubled += usize::from(!is_new);
            self.disordered += usize::from(is_new && number < highest);
            highest = highest.max(number);
        }
        self.messages += numbers.len();
        self.lost += (1..=expected).filter(|number| !known.contains(number)).count();
        let strange = known.iter().filter(|number| !(1..=expected).contains(*number)).count();
        if strange > 0 {
            self.trouble.push(format!("{strange} numbers that nobody sent"));
        }
    }

    /// Whether nothing was lost, doubled or out of order.
    pub(crate) fn is_perfect(&self) -> bool {
        self.is_each_once() && self.disordered == 0
    }

    /// Whether nothing was lost or doubled.
    pub(crate) fn is_each_once(&self) -> bool {
        self.is_all_there() && self.doubled == 0
    }

    /// Whether nothing was lost.
    pub(crate) fn is_all_there(&self) -> bool {
        self.trouble.is_empty() && self.lost == 0
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, blows, resumed, new, lost, doubled, disordered, .. } = self;
        write!(
            f,
            "{messages} messages, {blows} blows, {resumed} resumed, {new} new, {lost} lost, \
             {doubled} doubled, {disordered} out of order, {:.1} s",
            self.seconds
        )?;
        self.trouble.iter().try_for_each(|trouble| write!(f, "; {trouble}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    fn heard(numbers: &[usize]) -> Figures {
        let mut figures = Figures::default();
        figures.hear(3, numbers);
        figures
    }

    #[test]
    fn each_defect_is_told_from_the_others() {
        assert!(heard(&[1, 2, 3]).is_perfect());
        let counts = |figures: Figures| (figures.lost, figures.doubled, figures.disordered);
        assert_eq!(counts(heard(&[])), (3, 0, 0));
        assert_eq!(counts(heard(&[1, 3])), (1, 0, 0));
        assert_eq!(counts(heard(&[1, 2, 2, 3])), (0, 1, 0));
        assert_eq!(counts(heard(&[2, 1, 3])), (0, 0, 1));
        assert_eq!(counts(heard(&[1, 2, 3, 1, 2, 3])), (0, 3, 0));
        assert_eq!(heard(&[1, 2, 3, 4]).trouble, ["1 numbers that nobody sent"]);
    }
}
