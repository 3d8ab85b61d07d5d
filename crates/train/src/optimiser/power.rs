//! Whole powers by a fixed sequence of multiplications.

/// `base` to the power `exponent`: repeated squaring, the exponent's lowest bit first, each product rounded to f64.
pub(super) fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::power;

    #[test]
    fn powers_are_near_the_products_and_tend_to_0() {
        let mut product = 1.0;
        for exponent in 0..3000 {
            let error = (power(0.999, exponent) - product).abs() / product;
            assert!(error < 1e-12, "{exponent}: {error:e}");
            product *= 0.999;
        }
        assert_eq!(power(2.0, 40), 1_099_511_627_776.0);
        assert_eq!(power(0.9, u64::MAX), 0.0);
        assert_eq!(power(1.0, u64::MAX), 1.0);
    }
}
