//! Some `f64` lanes of one register, for chains of fused multiply-adds on x86-64 CPUs that have no such instruction.

use std::arch::x86_64::*;

/// A register of `f64`. A value of an implementing type is proof that the CPU has the instructions.
///
/// Marks are kept in such a register, too: all bits of a marked lane are set.
pub(crate) trait Wide: Copy {
    /// Lanes of a register.
    const LANES: usize;

    /// All lanes equal to `x`.
    fn splat(x: f64) -> Self;
    /// # Safety
    /// `p` points to as many readable values as there are lanes.
    unsafe fn load(p: *const f64) -> Self;
    /// # Safety
    /// `p` points to as many writable values as there are lanes.
    unsafe fn store(self, p: *mut f64);
    /// As many `f32`.
    ///
    /// # Safety
    /// `p` points to as many readable values as there are lanes.
    unsafe fn widened(p: *const f32) -> Self;
    /// Rounds to `f32`.
    ///
    /// # Safety
    /// `p` points to as many writable values as there are lanes.
    unsafe fn narrow(self, p: *mut f32);
    /// `self + b`
    fn add(self, b: Self) -> Self;
    /// `self - b`
    fn sub(self, b: Self) -> Self;
    /// `self * b`
    fn mul(self, b: Self) -> Self;

    /// What [`Wide::watch`] starts from.
    fn unwatched() -> Self;
    /// Remembers whether a lane's last 28 bits are zero, of two registers at once.
    fn watch(self, b: Self, seen: Self) -> Self;
    /// Whether there was such a lane.
    fn has_seen(self) -> bool;

    /// Marks the lanes whose last 29 bits are a one and zeros.
    fn middle(self) -> Self;
    /// Marks the lanes that are not equal, NaN included.
    fn unequal(self, b: Self) -> Self;
    /// Marks the lanes that are not at most `limit` in size, NaN included.
    fn beyond(self, limit: Self) -> Self;
    /// The marks of both.
    fn and(self, marks: Self) -> Self;
    /// The marks of either.
    fn or(self, marks: Self) -> Self;
    /// Whether a lane is marked.
    fn any(self) -> bool;

    /// The sizes of the least value but 0 and of the greatest, of those before and of some `f32`; a NaN has no say
    /// among the least.
    ///
    /// # Safety
    /// `p` points to 32 readable values.
    unsafe fn limits(p: *const f32, limits: &mut Limits<Self::Floats>);
    /// A register of `f32`.
    type Floats: Copy;
    /// No values yet.
    fn unlimited() -> Limits<Self::Floats>;
    /// Those of all lanes.
    fn folded(limits: Limits<Self::Floats>) -> [f64; 2];
}

/// The sizes of the least values but 0 and of the greatest.
#[derive(Clone, Copy)]
pub(crate) struct Limits<F> {
    least: F,
    greatest: F,
    /// NaN where a value was: sums remember it.
    nan: F,
}

/// Values of a row of weights.
const ROW: usize = 32;

/// All bits but the last 28 of half a lane: a number of -2^97 or less, which is -2^97 where those are zero, or NaN.
const WATCHED: i32 = 0xf000_0000_u32 as i32;
/// -2^97.
const SEEN: f32 = f32::from_bits(0xf000_0000);
/// The last 29 bits of a lane.
const LAST: i64 = (1 << 29) - 1;
/// The middle of two `f32`, as far as the last 29 bits tell.
const MIDDLE: f64 = f64::from_bits(1 << 28);

macro_rules! wide {
    (
        $(#[$doc:meta])* $name:ident, $lanes:literal, $doubles:ident, $floats:ident,
        $set:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $and:ident, $or:ident,
        $cast:ident, $uncast:ident, $shuffle:ident, $or_floats:ident, $and_floats:ident, $max:ident, $min:ident,
        $splat_floats:ident, $add_floats:ident, $load_floats:ident, $bits:ident, $cast_bits:ident,
        $bits_long:ident, $cast_long:ident, $any_floats:ident, $any:ident,
        widened: |$from:ident| $widened:expr, narrow: |$lanes_of:ident, $to:ident| $narrow:expr, equal: $equal:expr, unequal: $unequal:expr, beyond: $beyond:expr,
        equal_floats: $equal_floats:expr, store_floats: $store_floats:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name($doubles);

        impl Wide for $name {
            const LANES: usize = $lanes;
            type Floats = $floats;

            #[inline(always)]
            fn splat(x: f64) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $set(x) })
            }
            #[inline(always)]
            unsafe fn load(p: *const f64) -> Self {
                // SAFETY: as the type says; readable by the caller's promise.
                Self(unsafe { $load(p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut f64) {
                // SAFETY: as the type says; writable by the caller's promise.
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            unsafe fn widened(p: *const f32) -> Self {
                // SAFETY: as the type says; readable by the caller's promise.
                Self(unsafe {
                    let $from = p;
                    $widened
                })
            }
            #[inline(always)]
            unsafe fn narrow(self, p: *mut f32) {
                // SAFETY: as the type says; writable by the caller's promise.
                unsafe {
                    let ($lanes_of, $to) = (self.0, p);
                    $narrow
                }
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $add(self.0, b.0) })
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $sub(self.0, b.0) })
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $mul(self.0, b.0) })
            }
            #[inline(always)]
            fn unwatched() -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $uncast($splat_floats(f32::NEG_INFINITY)) })
            }
            #[inline(always)]
            fn watch(self, b: Self, seen: Self) -> Self {
                // SAFETY: as the type says.
                unsafe {
                    let halves = $shuffle::<0x88>($cast(self.0), $cast(b.0));
                    let watched = $or_floats(halves, $cast_bits($bits(WATCHED)));
                    // Of a NaN and a number this is the second.
                    Self($uncast($max(watched, $cast(seen.0))))
                }
            }
            #[inline(always)]
            fn has_seen(self) -> bool {
                // SAFETY: as the type says.
                unsafe { $any_floats($equal_floats($cast(self.0), $splat_floats(SEEN))) != 0 }
            }
            #[inline(always)]
            fn middle(self) -> Self {
                // SAFETY: as the type says.
                unsafe { Self($equal($and(self.0, $cast_long($bits_long(LAST))), $set(MIDDLE))) }
            }
            #[inline(always)]
            fn unequal(self, b: Self) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $unequal(self.0, b.0) })
            }
            #[inline(always)]
            fn beyond(self, limit: Self) -> Self {
                // SAFETY: as the type says.
                unsafe { Self($beyond($and(self.0, $cast_long($bits_long(i64::MAX))), limit.0)) }
            }
            #[inline(always)]
            fn and(self, marks: Self) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $and(self.0, marks.0) })
            }
            #[inline(always)]
            fn or(self, marks: Self) -> Self {
                // SAFETY: as the type says.
                Self(unsafe { $or(self.0, marks.0) })
            }
            #[inline(always)]
            fn any(self) -> bool {
                // SAFETY: as the type says.
                unsafe { $any(self.0) != 0 }
            }
            #[inline(always)]
            unsafe fn limits(p: *const f32, limits: &mut Limits<$floats>) {
                for at in (0..ROW).step_by(2 * Self::LANES) {
                    // SAFETY: as the type says; a row of values is readable by the caller's promise.
                    unsafe {
                        let values = $load_floats(p.add(at));
                        let size = $and_floats(values, $cast_bits($bits(i32::MAX)));
                        let zero = $equal_floats(values, $splat_floats(0.0));
                        // A zero becomes NaN, and of a NaN and a number these are the second.
                        limits.least = $min($or_floats(size, zero), limits.least);
                        limits.greatest = $max(size, limits.greatest);
                        limits.nan = $add_floats(limits.nan, size);
                    }
                }
            }
            #[inline(always)]
            fn unlimited() -> Limits<$floats> {
                // SAFETY: as the type says.
                let [least, zero] = unsafe { [$splat_floats(f32::INFINITY), $splat_floats(0.0)] };
                Limits { least, greatest: zero, nan: zero }
            }
            #[inline(always)]
            fn folded(limits: Limits<$floats>) -> [f64; 2] {
                let [mut least, mut greatest] = [f64::INFINITY, 0.0];
                let mut lanes = [[0.0f32; 2 * $lanes]; 3];
                // SAFETY: as the type says; the arrays have room for the lanes.
                unsafe {
                    $store_floats(lanes[0].as_mut_ptr(), limits.least);
                    $store_floats(lanes[1].as_mut_ptr(), limits.greatest);
                    $store_floats(lanes[2].as_mut_ptr(), limits.nan);
                }
                let mut nan = false;
                for lane in 0..2 * Self::LANES {
                    let [low, high] = [f64::from(lanes[0][lane]), f64::from(lanes[1][lane])];
                    least = if low < least { low } else { least };
                    greatest = if high > greatest { high } else { greatest };
                    nan |= lanes[2][lane].is_nan();
                }
                [least, if nan { f64::NAN } else { greatest }]
            }
        }
    };
}

wide! {
    /// Two lanes of SSE2, which every x86-64 CPU has.
    Two, 2, __m128d, __m128,
    _mm_set1_pd, _mm_loadu_pd, _mm_storeu_pd, _mm_add_pd, _mm_sub_pd, _mm_mul_pd, _mm_and_pd, _mm_or_pd,
    _mm_castpd_ps, _mm_castps_pd, _mm_shuffle_ps, _mm_or_ps, _mm_and_ps, _mm_max_ps, _mm_min_ps,
    _mm_set1_ps, _mm_add_ps, _mm_loadu_ps, _mm_set1_epi32, _mm_castsi128_ps,
    _mm_set1_epi64x, _mm_castsi128_pd, _mm_movemask_ps, _mm_movemask_pd,
    widened: |p| _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(p.cast()))),
    narrow: |v, p| _mm_storel_epi64(p.cast(), _mm_castps_si128(_mm_cvtpd_ps(v))),
    equal: _mm_cmpeq_pd, unequal: _mm_cmpneq_pd, beyond: _mm_cmpnle_pd, equal_floats: _mm_cmpeq_ps, store_floats: _mm_storeu_ps
}

wide! {
    /// Four lanes of AVX. Only the AVX level uses it.
    Four, 4, __m256d, __m256,
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_and_pd, _mm256_or_pd,
    _mm256_castpd_ps, _mm256_castps_pd, _mm256_shuffle_ps, _mm256_or_ps, _mm256_and_ps, _mm256_max_ps, _mm256_min_ps,
    _mm256_set1_ps, _mm256_add_ps, _mm256_loadu_ps, _mm256_set1_epi32, _mm256_castsi256_ps,
    _mm256_set1_epi64x, _mm256_castsi256_pd, _mm256_movemask_ps, _mm256_movemask_pd,
    widened: |p| _mm256_cvtps_pd(_mm_loadu_ps(p)),
    narrow: |v, p| _mm_storeu_ps(p, _mm256_cvtpd_ps(v)),
    equal: _mm256_cmp_pd::<_CMP_EQ_OQ>, unequal: _mm256_cmp_pd::<_CMP_NEQ_UQ>, beyond: _mm256_cmp_pd::<_CMP_NLE_UQ>,
    equal_floats: _mm256_cmp_ps::<_CMP_EQ_OQ>, store_floats: _mm256_storeu_ps
}
