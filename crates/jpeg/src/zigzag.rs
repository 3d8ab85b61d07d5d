//! The order in which a block's coefficients are stored.

/// Where a coefficient goes in the block, by its place in the file. What runs past the end (damaged files
/// do) lands on the last place, as in libjpeg.
pub(crate) const ZIGZAG: [u8; 80] = {
    let mut order = [63; 80];
    let (mut row, mut column) = (0_u8, 0_u8);
    let mut k = 0;
    while k < 64 {
        order[k] = row * 8 + column;
        let up = (row + column) % 2 == 0;
        match (up, row, column) {
            (true, _, 7) | (false, 0..7, 0) => row += 1,
            (true, 0, _) | (false, 7, _) => column += 1,
            (true, ..) => (row, column) = (row - 1, column + 1),
            (false, ..) => (row, column) = (row + 1, column - 1),
        }
        k += 1;
    }
    order
};

#[cfg(test)]
mod tests {
    use super::ZIGZAG;

    #[test]
    fn the_order_starts_and_ends_as_the_standard_draws_it() {
        assert_eq!(ZIGZAG[..16], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5]);
        assert_eq!(
            ZIGZAG[48..64],
            [58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63]
        );
        assert_eq!(ZIGZAG[64..], [63; 16]);
    }
}
