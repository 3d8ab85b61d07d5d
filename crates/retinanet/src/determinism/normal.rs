//! The normal distribution from IEEE basic operations only, so that its bits are equal everywhere.

/// ln 2 rounded to 33 bits, so that `exponent * LN2_HIGH` is exact, and the rest.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// The natural logarithm of a positive, normal, finite number, to about 1e-15 relative.
///
/// ln x = exponent * ln 2 + 2 artanh((m - 1) / (m + 1)) with the mantissa m in [sqrt(1/2), sqrt(2)),
/// the artanh by its power series. Only +, -, *, / are used, each rounded by itself.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    // |s| < 0.1716: the first term left out, s^24 / 25, is below 2e-20.
    let mut series = 1.0 / 23.0;
    for n in (0..11).rev() {
        series = series * s2 + 1.0 / f64::from(2 * n + 1);
    }
    let e = f64::from(exponent);
    e * LN2_HIGH + (e * LN2_LOW + 2.0 * s * series)
}

/// Evaluates a polynomial, highest coefficient first, by Horner's rule.
fn polynomial(x: f64, coefficients: [f64; 8]) -> f64 {
    let mut sum = 0.0;
    for c in coefficients {
        sum = sum * x + c;
    }
    sum
}

/// The standard normal quantile of `p` in (0, 1), to about 1e-15 relative.
///
/// Source: M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution",
/// Applied Statistics 37 (1988), routine PPND16.
pub(super) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if (-0.425..=0.425).contains(&q) {
        let r = 0.180625 - q * q;
        return q * polynomial(r, CENTRE.0) / polynomial(r, CENTRE.1);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-ln(tail)).sqrt();
    let x = if r <= 5.0 {
        polynomial(r - 1.6, MIDDLE.0) / polynomial(r - 1.6, MIDDLE.1)
    } else {
        polynomial(r - 5.0, FAR.0) / polynomial(r - 5.0, FAR.1)
    };
    if q < 0.0 { -x } else { x }
}

type Rational = ([f64; 8], [f64; 8]);

const CENTRE: Rational = (
    [
        2.509_080_928_730_122_7e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946e4,
        1.971_590_950_306_551_4e3,
        1.331_416_678_917_843_8e2,
        3.387_132_872_796_366_5,
    ],
    [
        5.226_495_278_852_854e3,
        2.872_908_573_572_194_3e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_7e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
);

const MIDDLE: Rational = (
    [
        7.745_450_142_783_414e-4,
        2.272_384_498_926_918_4e-2,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4,
        3.647_848_324_763_204_5,
        5.769_497_221_460_691,
        4.630_337_846_156_546,
        1.423_437_110_749_683_5,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        1.519_866_656_361_645_7e-2,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8,
        2.053_191_626_637_759,
        1.0,
    ],
);

const FAR: Rational = (
    [
        2.010_334_399_292_288_1e-7,
        2.711_555_568_743_487_6e-5,
        1.242_660_947_388_078_4e-3,
        2.653_218_952_657_612_4e-2,
        2.965_605_718_285_048_7e-1,
        1.784_826_539_917_291_3,
        5.463_784_911_164_114,
        6.657_904_643_501_103,
    ],
    [
        2.044_263_103_389_939_8e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_8e-5,
        7.868_691_311_456_133e-4,
        1.487_536_129_085_061_5e-2,
        1.369_298_809_227_358e-1,
        5.998_322_065_558_88e-1,
        1.0,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_is_within_1e_15_of_known_values() {
        // Decimal expansions of the logarithms, from tables.
        let cases = [
            (0.5, -std::f64::consts::LN_2),
            (1.0, 0.0),
            (2.0, std::f64::consts::LN_2),
            (10.0, std::f64::consts::LN_10),
            (1e-5, -11.512_925_464_970_229),
            (0.025, -3.688_879_454_113_936_3),
            ((f64::EPSILON / 2.0), -36.736_800_569_677_1),
        ];
        for (x, answer) in cases {
            let error = (ln(x) - answer).abs();
            assert!(error <= 1e-15 * answer.abs(), "ln({x}) is off by {error}");
        }
    }

    #[test]
    fn quantiles_are_within_1e_14_of_known_values() {
        let cases = [
            (1e-12, -7.034_483_825_301_132),
            (1e-5, -4.264_890_793_922_825_6),
            (0.001, -3.090_232_306_167_813),
            (0.02425, -1.972_961_051_311_884_5),
            (0.075, -1.439_531_470_938_455_7),
            (0.3, -0.524_400_512_708_040_7),
            (0.5, 0.0),
            (0.9, 1.281_551_565_544_600_8),
            (0.999_999, 4.753_424_308_817_089),
        ];
        for (p, answer) in cases {
            let error = (quantile(p) - answer).abs();
            assert!(error <= 1e-14, "quantile({p}) is off by {error}");
        }
    }

    #[test]
    fn quantiles_are_odd_around_one_half() {
        for k in [0u64, 1, 12_345, 1 << 50, (1 << 51) - 1] {
            let p = (k as f64 + 0.5) * f64::EPSILON;
            assert_eq!(quantile(p).to_bits(), (-quantile(1.0 - p)).to_bits());
        }
    }

    #[test]
    fn the_extreme_quantiles_are_finite() {
        let p = f64::EPSILON / 2.0;
        assert!((quantile(p) + 8.209_536_151_601_386).abs() < 1e-14);
        assert!((quantile(1.0 - p) - 8.209_536_151_601_386).abs() < 1e-14);
    }
}
