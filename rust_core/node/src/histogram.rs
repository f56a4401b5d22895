//! A latency histogram: a plain array of exponential buckets, four to an octave, so that a percentile is at most a
//! quarter too high.
//!
//! ```
//! let mut histogram = csroute_node::histogram::Histogram::default();
//! for ns in [900, 1_000, 1_100, 90_000] { histogram.record(ns, 1); }
//! assert!(histogram.percentile_us(0.5) < 1.3 && histogram.percentile_us(0.999) >= 90.0);
//! ```

use serde_json::{Value, json};

/// Below this, one bucket: 128 ns.
const FIRST_EXPONENT: u32 = 7;
/// Above this, one bucket: 2^36 ns, 69 s.
const LAST_EXPONENT: u32 = 36;
const SUB_BITS: u32 = 2;
const BUCKETS: usize = (((LAST_EXPONENT - FIRST_EXPONENT) << SUB_BITS) + 2) as usize;

/// Counts by latency.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            sum_ns: 0,
        }
    }
}

impl Histogram {
    /// Counts `times` events of this length.
    pub fn record(&mut self, ns: u64, times: u64) {
        self.counts[bucket(ns)] += times;
        self.sum_ns = self.sum_ns.saturating_add(ns.saturating_mul(times));
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper bound of the bucket in which this share (0..=1) of the events is reached, µs; 0 when empty.
    pub fn percentile_us(&self, share: f64) -> f64 {
        let target = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.counts
            .iter()
            .position(|count| {
                seen += count;
                seen >= target
            })
            .map_or(0.0, bound_us)
    }

    /// `{"bounds": µs, "counts": a bucket each and one past the last bound, "sum": µs}`.
    pub fn json(&self) -> Value {
        let bounds: Vec<f64> = (0..BUCKETS - 1).map(bound_us).collect();
        json!({"bounds": bounds, "counts": self.counts.as_slice(), "sum": self.sum_ns as f64 / 1000.0})
    }
}

fn bucket(ns: u64) -> usize {
    if ns < 1 << FIRST_EXPONENT {
        return 0;
    }
    let exponent = ns.ilog2();
    let sub = (ns >> (exponent - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    ((u64::from(exponent - FIRST_EXPONENT) << SUB_BITS) + sub + 1).min(BUCKETS as u64 - 1) as usize
}

/// The first length that is past this bucket, µs.
fn bound_us(bucket: usize) -> f64 {
    let octave = (bucket >> SUB_BITS) as u32 + FIRST_EXPONENT;
    let sub = (bucket & ((1 << SUB_BITS) - 1)) as u64;
    (((1 << SUB_BITS) + sub) << (octave - SUB_BITS)) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends() {
        assert_eq!((bucket(0), bucket(127), bucket(128)), (0, 0, 1));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket((1 << LAST_EXPONENT) - 1), BUCKETS - 2);
        assert!((bound_us(0) - 0.128).abs() < f64::EPSILON);
        assert!(
            Histogram::default().percentile_us(0.99) < f64::EPSILON,
            "nothing counted"
        );
    }

    proptest! {
        #[test]
        fn a_length_lies_in_its_bucket(ns in 0u64..1 << LAST_EXPONENT) {
            let at = bucket(ns);
            prop_assert!((ns as f64) < bound_us(at) * 1000.0);
            prop_assert!(at == 0 || ns as f64 >= bound_us(at - 1) * 1000.0);
            prop_assert!(at == 0 || bound_us(at) <= bound_us(at - 1) * 1.26);
        }
    }
}
