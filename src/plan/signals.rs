//! What the numbers of a backup say of its source: does it look encrypted, emptied, or otherwise not like before?
//!
//! From manifests alone: no key, and no data read. Medians and what is usual around them, because one odd backup must
//! not spoil the yardstick. `docs/ransomware.md` says it in words.

use jiff::SignedDuration;

use crate::model::{RunId, Severity, Timestamp};

/// Captures that the newest one is held against. More than two weeks of nightly ones would take a change of habits for
/// a change of the data.
pub const HISTORY: usize = 15;
/// With fewer captures before it nothing is said: two numbers have no middle.
const LEAST: usize = 3;
/// As many median deviations from the median are usual: about four standard deviations where numbers are spread evenly.
const DEVIATIONS: f64 = 6.0;
/// A share must rise by at least this much, in parts of one: 30 points are no change of habits.
const RISE: f64 = 0.3;
/// From half of all chunks on, what is stored anew is worth a word.
const MUCH: f64 = 0.5;
/// From a quarter of all chunks on, it is worth a word if they do not compress either.
const PART: f64 = 0.25;
/// From here on it counts as everything: sealing and small streams leave some chunks as they were.
const ALL: f64 = 0.8;
/// Stored bytes in parts of the plain ones, from which on data counts as noise. Encrypted data comes out at 1.
const NOISE: f64 = 0.9;
/// Less than half of the bytes is worth a word, and less than a tenth is a problem.
const HALF: f64 = 0.5;
const TENTH: f64 = 0.1;
/// With fewer new bytes, or fewer new chunks, nothing is said of reuse and compression: a small source has few chunks,
/// and one changed row makes one of them new.
const LEAST_NEW_BYTES: f64 = 4.0 * 1024.0 * 1024.0;
const LEAST_NEW_CHUNKS: u64 = 4;
/// Sources with less than this are too small for a word about their size.
const LEAST_BYTES: f64 = 64.0 * 1024.0;
/// After a problem nothing of the source expires for so long, counted to its newest capture. The backup after an attack
/// looks harmless: it reuses the rubbish of the one before.
const ALARM: SignedDuration = SignedDuration::from_hours(30 * 24);

/// One capture of a source, in numbers of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub run: RunId,
    pub at: Timestamp,
    /// Bytes read.
    pub raw: u64,
    /// Bytes of new objects.
    pub stored_new: u64,
    pub chunks: u64,
    pub reused_chunks: u64,
    pub streams: u64,
    /// It could reuse what the capture before it stored: false of a first one, of one with other keys, of a copy.
    pub reuses: bool,
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// All of it is new, and none of it compresses.
    Encrypted,
    /// Much more is stored anew than usual.
    Stored,
    /// What is new compresses much less than what was before.
    Compression,
    Shrunk,
    Grew,
    /// Streams are missing: a database, a volume.
    Streams,
}

/// One thing that is not as usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub watch: Watch,
    /// Problem: so clear that nothing of the source may expire.
    pub severity: Severity,
    /// With the numbers.
    pub message: String,
}

/// A problem that still keeps a source from expiring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The capture that looks like it.
    pub run: RunId,
    pub message: String,
}

impl Watch {
    /// What to look at.
    pub fn cure(self) -> &'static str {
        match self {
            Watch::Encrypted | Watch::Shrunk => {
                "look at the source now; hold what is good: lifeboat hold add RUN --reason TEXT; docs/ransomware.md"
            }
            Watch::Stored | Watch::Compression => {
                "was it reloaded, vacuumed, or filled with other data? If not: docs/ransomware.md"
            }
            Watch::Grew => "find out what was added: docs/ransomware.md",
            Watch::Streams => "was something dropped on purpose? lifeboat show RUN --identity FILE names the streams",
        }
    }
}

impl Seen {
    fn new_chunks(&self) -> u64 {
        self.chunks.saturating_sub(self.reused_chunks)
    }

    /// New chunks in parts of all.
    fn fresh(&self) -> f64 {
        self.new_chunks() as f64 / self.chunks.max(1) as f64
    }

    /// Plain bytes of the new chunks: the manifest has their number only, and they are as long as the others.
    fn new_bytes(&self) -> f64 {
        self.raw as f64 * self.fresh()
    }

    /// Stored bytes in parts of the plain ones; None where nothing is new.
    fn compression(&self) -> Option<f64> {
        let plain = self.new_bytes();
        (plain >= 1.0).then(|| self.stored_new as f64 / plain)
    }

    fn stored(&self) -> f64 {
        self.stored_new as f64 / self.raw.max(1) as f64
    }

    fn is_noise(&self) -> bool {
        self.fresh() >= ALL && self.compression() >= Some(NOISE)
    }
}

/// What is not as usual in the first of these captures of one source, newest first.
pub fn signals(captures: &[Seen]) -> Vec<Signal> {
    let Some((newest, before)) = captures.split_first() else { return Vec::new() };
    let before = before.get(..HISTORY).unwrap_or(before);
    if before.len() < LEAST {
        return Vec::new();
    }
    let mut signals = content(newest, before);
    signals.extend(size(newest, before));
    signals.extend(streams(newest, before));
    signals
}

/// The newest problem that still keeps the source, whose captures these are, newest first, from expiring.
pub fn alarm(captures: &[Seen]) -> Option<Alarm> {
    let newest = captures.first()?.at;
    let young = captures.iter().take_while(|seen| newest.duration_since(seen.at) < ALARM);
    young.enumerate().find_map(|(n, seen)| {
        let signals = signals(captures.get(n..)?);
        let problem = signals.into_iter().find(|signal| signal.severity == Severity::Problem)?;
        Some(Alarm { run: seen.run, message: problem.message })
    })
}

/// Reuse and compression.
fn content(newest: &Seen, before: &[Seen]) -> Vec<Signal> {
    if newest.new_chunks() < LEAST_NEW_CHUNKS || newest.new_bytes() < LEAST_NEW_BYTES {
        return Vec::new();
    }
    let usual = before_compression(before);
    let worse = newest.compression().zip(usual).filter(|(now, usual)| *now > usual + RISE);
    let compress = worse.map(|(now, usual)| format!("compress to {}; before, to {}", percent(now), percent(usual)));
    if let Some(compress) = &compress
        && newest.is_noise()
        && before.iter().filter(|seen| seen.is_noise()).count() < 2
    {
        let message = format!(
            "looks encrypted: {}, and the {} new chunks of {} {compress}",
            stored_words(newest, before),
            newest.new_chunks(),
            newest.chunks
        );
        return vec![Signal { watch: Watch::Encrypted, severity: Severity::Problem, message }];
    }
    let mut signals = Vec::new();
    let mut warn = |watch, message| signals.push(Signal { watch, severity: Severity::Warning, message });
    if newest.reuses && newest.fresh() >= MUCH && is_fresher(newest, before) {
        let (new, all) = (newest.new_chunks(), newest.chunks);
        warn(Watch::Stored, format!("{}: {new} of {all} chunks are new", stored_words(newest, before)));
    }
    if let Some(compress) = compress
        && newest.fresh() >= PART
        && !before.iter().any(|seen| seen.fresh() >= PART && seen.compression() >= newest.compression())
    {
        let (new, all) = (newest.new_chunks(), newest.chunks);
        warn(Watch::Compression, format!("the {new} new chunks of {all} {compress}"));
    }
    signals
}

/// More is new than around the median, and more than in any of them: what happens each Sunday is usual.
fn is_fresher(newest: &Seen, before: &[Seen]) -> bool {
    let shares: Vec<f64> = before.iter().filter(|seen| seen.reuses).map(Seen::fresh).collect();
    let seen_before = shares.iter().any(|share| *share >= newest.fresh() * ALL);
    shares.len() >= LEAST && !seen_before && newest.fresh() > above(&shares, RISE)
}

/// The median over new chunks, not over captures: a capture with one new chunk says little. None if all say little.
fn before_compression(before: &[Seen]) -> Option<f64> {
    let mut values: Vec<(f64, u64)> =
        before.iter().filter_map(|seen| Some((seen.compression()?, seen.new_chunks()))).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = values.iter().map(|(_, chunks)| chunks).fold(0u64, |sum, chunks| sum.saturating_add(*chunks));
    let mut sum = 0u64;
    values.into_iter().filter(|_| all >= LEAST_NEW_CHUNKS).find_map(|(value, chunks)| {
        sum = sum.saturating_add(chunks);
        (sum >= all.div_ceil(2)).then_some(value)
    })
}

fn size(newest: &Seen, before: &[Seen]) -> Option<Signal> {
    let sizes: Vec<f64> = before.iter().map(|seen| seen.raw as f64).collect();
    let (now, median) = (newest.raw as f64, median(&sizes));
    let times = |limit: f64| sizes.iter().filter(|size| **size <= limit).count();
    let of_before = || format!("read {} bytes; the last {} backups read {}", newest.raw, sizes.len(), bytes(before));
    if median >= LEAST_BYTES && now < median * TENTH && times(now * 2.0) < 2 {
        let message = format!("almost all of it is gone: {}", of_before());
        return Some(Signal { watch: Watch::Shrunk, severity: Severity::Problem, message });
    }
    let (watch, message) = if median >= LEAST_BYTES && now < below(&sizes, median * HALF) && times(now * 1.1) == 0 {
        (Watch::Shrunk, format!("less than half of it is left: {}", of_before()))
    } else if now >= LEAST_NEW_BYTES && now > above(&sizes, median) && sizes.iter().all(|size| now > size * 2.0) {
        (Watch::Grew, format!("it is more than twice as large as it ever was: {}", of_before()))
    } else {
        return None;
    };
    Some(Signal { watch, severity: Severity::Warning, message })
}

/// One of many says nothing: tables come and go. One of a few databases does.
fn streams(newest: &Seen, before: &[Seen]) -> Option<Signal> {
    let counts: Vec<f64> = before.iter().map(|seen| seen.streams as f64).collect();
    let (now, usual) = (newest.streams as f64, median(&counts));
    let missing = now <= usual * NOISE && counts.iter().all(|count| now < *count);
    missing.then(|| {
        let message = format!("has {} streams; the last {} backups had {usual:.0}", newest.streams, counts.len());
        Signal { watch: Watch::Streams, severity: Severity::Warning, message }
    })
}

fn stored_words(newest: &Seen, before: &[Seen]) -> String {
    let now = percent(newest.stored());
    // A first one stores everything: that is no yardstick.
    let shares: Vec<f64> = before.iter().filter(|seen| seen.reuses).map(Seen::stored).collect();
    match (shares.iter().copied().reduce(f64::min), shares.iter().copied().reduce(f64::max)) {
        (Some(least), Some(most)) => {
            let count = shares.len();
            let of = if percent(least) == percent(most) {
                percent(most)
            } else {
                format!("{:.0}-{}", least * 100.0, percent(most))
            };
            format!("stored {now} of what was read; the last {count} that could reuse stored {of}")
        }
        _ => format!("stored {now} of what was read"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn bytes(before: &[Seen]) -> String {
    let sizes = || before.iter().map(|seen| seen.raw);
    let (least, most) = (sizes().min().unwrap_or_default(), sizes().max().unwrap_or_default());
    if least == most { most.to_string() } else { format!("{least} to {most}") }
}

/// The end of what is usual: at least `floor` above the median.
fn above(values: &[f64], floor: f64) -> f64 {
    median(values) + (deviation(values) * DEVIATIONS).max(floor)
}

/// The same downwards.
fn below(values: &[f64], floor: f64) -> f64 {
    median(values) - (deviation(values) * DEVIATIONS).max(floor)
}

/// The middle one; of two, the mean. 0 of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |n: usize| sorted.get(n).copied().unwrap_or_default();
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(at(half.saturating_sub(1)), at(half)) } else { at(half) }
}

/// The median distance from the median.
fn deviation(values: &[f64]) -> f64 {
    let middle = median(values);
    median(&values.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>())
}
