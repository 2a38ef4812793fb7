//! Several failures as the one that a source may have: everything is asked, and all that failed is named.

use crate::model::{Finding, SourceFailure};

#[derive(Debug, Default)]
pub struct Failures(Vec<SourceFailure>);

impl Failures {
    pub fn push(&mut self, failure: SourceFailure) {
        self.0.push(failure);
    }

    /// The value; or the failure is noted.
    pub fn note<T>(&mut self, result: Result<T, SourceFailure>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }

    /// One failure that names all of them, of the class of the first.
    pub fn finish(self) -> Result<(), SourceFailure> {
        let mut failures = self.0.into_iter();
        let (Some(first), more) = (failures.next(), failures.len()) else { return Ok(()) };
        if more == 0 {
            return Err(first);
        }
        let class = first.class;
        let all: Vec<SourceFailure> = std::iter::once(first).chain(failures).collect();
        let messages: Vec<String> = all.iter().map(|failure| failure.to_string()).collect();
        let mut cures: Vec<String> = Vec::new();
        for cure in all.into_iter().filter_map(|failure| failure.cure) {
            if !cures.contains(&cure) {
                cures.push(cure);
            }
        }
        let failure =
            SourceFailure::new(class, format!("{} things could not be looked at", more + 1), messages.join("; "));
        Err(if cures.is_empty() { failure } else { failure.cure(cures.join("; ")) })
    }

    /// Each as a line of a diagnosis.
    pub fn findings(self) -> impl Iterator<Item = Finding> {
        self.0.into_iter().map(|SourceFailure { subject, message, cure, .. }| {
            let finding = Finding::problem(subject, message);
            Finding { cure, ..finding }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FailureClass;

    #[test]
    fn all_that_failed_is_named() {
        let failure = |subject: &str| SourceFailure::new(FailureClass::Unreachable, subject, "no answer").cure("try");
        let mut failures = Failures::default();
        assert_eq!(failures.note(Ok(1)), Some(1));
        failures.push(failure("a"));
        failures.push(failure("b"));
        let one = failures.finish().unwrap_err();
        assert_eq!(one.to_string(), "2 things could not be looked at: a: no answer; b: no answer");
        assert_eq!(one.cure.as_deref(), Some("try"));
        let mut failures = Failures::default();
        failures.push(failure("a"));
        assert_eq!(failures.finish(), Err(failure("a")));
        assert_eq!(Failures::default().finish(), Ok(()));
    }
}
