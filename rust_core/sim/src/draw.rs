//! Random numbers by what they are for: each is a pure function of (seed, purpose, ticket, stage).
//!
//! Nothing is drawn in turn, so no decision of a policy can shift anybody's numbers: the n-th ticket has the same
//! patience and the same handle time whatever happens to the others (common random numbers).
//!
//! ```
//! use csroute_sim::draw::{Distribution, Purpose, uniform};
//! let u = uniform(7, Purpose::Work, 41, 0);
//! assert_eq!(u, uniform(7, Purpose::Work, 41, 0));
//! assert_ne!(u, uniform(7, Purpose::Patience, 41, 0));
//! assert!(Distribution::Exponential { mean_us: 1e6 }.at(u) > 0);
//! ```

use csroute_engine::Micros;
use serde::Deserialize;

/// No end: somebody who never leaves.
pub const NEVER: Micros = i64::MAX / 4;

/// What a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Purpose {
    Work = 1,
    Patience,
    Answer,
    Decline,
    Miss,
    Transfer,
    Again,
    AgainAfter,
    WrapUp,
    Mark,
}

/// A mixing step of `SplitMix64` (Steele, Lea, Flood 2014).
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number strictly between 0 and 1.
pub const fn uniform(seed: u64, purpose: Purpose, key: u64, stage: u32) -> f64 {
    let stream = mix(mix(seed) ^ ((purpose as u64) << 32 | stage as u64));
    let bits = mix(stream ^ mix(key)) >> 12;
    (bits as f64 + 0.5) / (1u64 << 52) as f64
}

/// A duration's distribution. Serde's form is Python's: `{"exponential": {"mean_us": 6e7}}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Distribution {
    /// Always this.
    Fixed {
        value_us: f64,
    },
    Exponential {
        mean_us: f64,
    },
    /// By its own mean, and the logarithm's standard deviation.
    LogNormal {
        mean_us: f64,
        sigma: f64,
    },
    Weibull {
        scale_us: f64,
        shape: f64,
    },
    /// One of these, each as likely.
    Empirical {
        values_us: Vec<f64>,
    },
    /// No end.
    Never,
}

impl Distribution {
    /// The quantile at `u`, in µs, at least 0 and at most `NEVER`.
    pub fn at(&self, u: f64) -> Micros {
        let value = match self {
            Self::Fixed { value_us } => *value_us,
            Self::Exponential { mean_us } => -mean_us * libm::log(u),
            Self::LogNormal { mean_us, sigma } => mean_us * libm::exp(sigma * normal(u) - sigma * sigma / 2.0),
            Self::Weibull { scale_us, shape } => scale_us * libm::pow(-libm::log(u), 1.0 / shape),
            Self::Empirical { values_us } => {
                let place = (u * values_us.len() as f64) as usize;
                values_us.get(place).copied().unwrap_or(0.0)
            }
            Self::Never => return NEVER,
        };
        (libm::round(value) as i64).clamp(0, NEVER)
    }

    /// What is wrong with it, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let sound = match self {
            Self::Fixed { value_us } => value_us.is_finite() && *value_us >= 0.0,
            Self::Exponential { mean_us } => positive(*mean_us),
            Self::LogNormal { mean_us, sigma } => positive(*mean_us) && positive(*sigma),
            Self::Weibull { scale_us, shape } => positive(*scale_us) && positive(*shape),
            Self::Empirical { values_us } => {
                !values_us.is_empty() && values_us.iter().all(|value| value.is_finite() && *value >= 0.0)
            }
            Self::Never => true,
        };
        (!sound).then_some("a distribution's numbers are finite and positive, and a list of values is not empty")
    }
}

/// The standard normal distribution's quantile (Wichura 1988, AS 241, about 1e-16).
fn normal(u: f64) -> f64 {
    const CENTRE: [[f64; 8]; 2] = [
        [
            3.387_132_872_796_366_5,
            133.141_667_891_784_38,
            1_971.590_950_306_551_3,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ],
        [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_545,
        ],
    ];
    const NEAR: [[f64; 8]; 2] = [
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            7.745_450_142_783_414e-4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
    ];
    const FAR: [[f64; 8]; 2] = [
        [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ],
        [
            1.0,
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            7.868_691_311_456_133e-4,
            1.846_318_317_510_054_8e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ],
    ];
    let ratio = |parts: &[[f64; 8]; 2], r: f64| {
        let [over, under] = parts
            .each_ref()
            .map(|part| part.iter().rev().fold(0.0, |sum, c| sum * r + c));
        over / under
    };
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&CENTRE, 0.180_625 - q * q);
    }
    let r = libm::sqrt(-libm::log(if q < 0.0 { u } else { 1.0 - u }));
    let value = if r <= 5.0 {
        ratio(&NEAR, r - 1.6)
    } else {
        ratio(&FAR, r - 5.0)
    };
    if q < 0.0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_is_the_table_s() {
        for (u, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813_5),
            (1e-12, -7.034_483_825_301_131),
        ] {
            assert!((normal(u) - z).abs() < 1e-9, "{u}: {}", normal(u));
        }
    }

    #[test]
    fn means_and_shares_come_out() {
        let mean = |distribution: &Distribution| {
            let draws = (0..200_000).map(|key| distribution.at(uniform(1, Purpose::Work, key, 0)) as f64);
            draws.sum::<f64>() / 200_000.0
        };
        for distribution in [
            Distribution::Fixed { value_us: 1e6 },
            Distribution::Exponential { mean_us: 1e6 },
            Distribution::LogNormal {
                mean_us: 1e6,
                sigma: 0.8,
            },
            Distribution::Weibull {
                scale_us: 1e6,
                shape: 1.0,
            },
            Distribution::Empirical {
                values_us: vec![0.0, 1e6, 2e6],
            },
        ] {
            let found = mean(&distribution);
            assert!((found - 1e6).abs() < 1e4, "{distribution:?}: {found}");
        }
        assert_eq!(Distribution::Never.at(0.5), NEVER);
        assert!(Distribution::Exponential { mean_us: -1.0 }.fault().is_some());
    }

    #[test]
    fn purposes_and_stages_are_streams_of_their_own() {
        let (mut together, n) = (0.0, 100_000);
        for key in 0..n {
            let one = uniform(3, Purpose::Work, key, 0) - 0.5;
            let other = uniform(3, Purpose::Patience, key, 0) - 0.5;
            let later = uniform(3, Purpose::Work, key, 1) - 0.5;
            together += one * (other + later);
        }
        assert!((together / n as f64).abs() < 1e-3, "{together}");
    }
}
