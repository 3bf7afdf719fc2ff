//! Owns the ceilings of arithmetic: how many multiplications with addition the processor does in each kind of
//! number, by the instructions that it has for it, the widest and those that programs use in their place.
//!
//! Each kernel keeps independent sums in registers and touches no memory, so that nothing but the arithmetic
//! limits it. What a program reaches is less.

use super::threads::best;
use crate::record::{Ceiling, Number};
use std::hint::black_box;

/// One way of computing.
struct Kernel {
    number: Number,
    instructions: &'static str,
    /// Operations of a step.
    operations: u64,
    /// Does so many steps.
    run: fn(usize),
}

/// Steps of a pass; a few microseconds.
const STEPS: usize = 4096;

/// Sums that are kept at once: more than a step's latency times the steps that begin in each cycle.
const SUMS: usize = 12;

/// Measures what this processor has, with one thread and with so many.
pub(super) fn measure(threads: usize) -> Vec<Ceiling> {
    let mut counts = vec![1, threads.max(1)];
    counts.dedup();
    let kernels = kernels();
    let of = |threads: usize| {
        kernels.iter().filter_map(move |kernel| {
            let seconds = best(threads, || (), |()| (kernel.run)(black_box(STEPS)))?;
            let operations = kernel.operations * STEPS as u64 * threads as u64;
            Some(Ceiling {
                number: kernel.number,
                instructions: kernel.instructions.to_string(),
                threads,
                operations_per_second: operations as f64 / seconds,
            })
        })
    };
    counts.into_iter().flat_map(of).collect()
}

/// Plain 32-bit arithmetic, which every processor has; with fused instructions where they are in its baseline.
fn portable() -> Kernel {
    const LANES: usize = 4;
    fn run(steps: usize) {
        let (a, b) = black_box((1.0_f32, 1e-9_f32));
        let mut sums = [[0.0_f32; LANES]; SUMS];
        for _ in 0..steps {
            for sum in sums.as_flattened_mut() {
                *sum =
                    if cfg!(target_arch = "aarch64") { a.mul_add(b, *sum) } else { a * b + *sum };
            }
        }
        black_box(sums);
    }
    let instructions = if cfg!(target_arch = "aarch64") { "NEON" } else { "baseline" };
    let operations = (2 * LANES * SUMS) as u64;
    Kernel { number: Number::F32, instructions, operations, run }
}

#[cfg(not(target_arch = "x86_64"))]
fn kernels() -> Vec<Kernel> {
    vec![portable()]
}

#[cfg(target_arch = "x86_64")]
fn kernels() -> Vec<Kernel> {
    x86::kernels()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Number, SUMS, portable};
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// A kernel of one instruction whose sums, and both that are multiplied, are registers of one kind.
    macro_rules! kernel {
        ($name:ident, $features:literal, $register:ty, $one:expr, $step:expr) => {
            fn $name(steps: usize) {
                #[target_feature(enable = $features)]
                fn run(steps: usize) {
                    let (a, b): ($register, $register) = black_box(($one, $one));
                    let mut sums = [$one; SUMS];
                    for _ in 0..steps {
                        for sum in &mut sums {
                            *sum = $step(*sum, a, b);
                        }
                    }
                    black_box(sums);
                }
                // SAFETY: it stands in the list only where the processor has the instructions.
                unsafe { run(steps) }
            }
        };
    }

    kernel!(f32_avx2, "avx2,fma", __m256, _mm256_set1_ps(1e-9), |sum, a, b| _mm256_fmadd_ps(
        a, b, sum
    ));
    kernel!(f32_avx512, "avx512f", __m512, _mm512_set1_ps(1e-9), |sum, a, b| _mm512_fmadd_ps(
        a, b, sum
    ));
    kernel!(int8_avx512, "avx512vnni", __m512i, _mm512_set1_epi8(1), |sum, a, b| {
        _mm512_dpbusd_epi32(sum, a, b)
    });
    kernel!(int8_avx_vnni, "avxvnni", __m256i, _mm256_set1_epi8(1), |sum, a, b| {
        _mm256_dpbusd_avx_epi32(sum, a, b)
    });
    // What there is for 8 bits before VNNI: products in 16 bits, pairs of them in 32, and the sum.
    kernel!(int8_avx2, "avx2", __m256i, _mm256_set1_epi8(1), |sum, a, b| {
        let pairs = _mm256_maddubs_epi16(_mm256_xor_si256(a, sum), b);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, b))
    });

    fn bf16_avx512(steps: usize) {
        #[target_feature(enable = "avx512f,avx512bf16")]
        fn run(steps: usize) {
            let (a, b) = black_box((_mm512_set1_ps(1e-9), _mm512_set1_ps(1e-9)));
            let (a, b) = (_mm512_cvtne2ps_pbh(a, a), _mm512_cvtne2ps_pbh(b, b));
            let mut sums = [_mm512_set1_ps(0.0); SUMS];
            for _ in 0..steps {
                for sum in &mut sums {
                    *sum = _mm512_dpbf16_ps(*sum, a, b);
                }
            }
            black_box(sums);
        }
        // SAFETY: it stands in the list only where the processor has the instructions.
        unsafe { run(steps) }
    }

    /// Twelve sums of 32 half precision numbers. By assembly, since the compiler's own functions for it are newer than
    /// the oldest compiler that is supported.
    fn f16_avx512(steps: usize) {
        // SAFETY: it stands in the list only where the processor has the instructions; no memory is touched.
        unsafe {
            asm!(
                "2:",
                "vfmadd231ph zmm2, zmm0, zmm1",
                "vfmadd231ph zmm3, zmm0, zmm1",
                "vfmadd231ph zmm4, zmm0, zmm1",
                "vfmadd231ph zmm5, zmm0, zmm1",
                "vfmadd231ph zmm6, zmm0, zmm1",
                "vfmadd231ph zmm7, zmm0, zmm1",
                "vfmadd231ph zmm8, zmm0, zmm1",
                "vfmadd231ph zmm9, zmm0, zmm1",
                "vfmadd231ph zmm10, zmm0, zmm1",
                "vfmadd231ph zmm11, zmm0, zmm1",
                "vfmadd231ph zmm12, zmm0, zmm1",
                "vfmadd231ph zmm13, zmm0, zmm1",
                "dec {steps}",
                "jnz 2b",
                steps = inout(reg) steps => _,
                out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
                out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
                out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
                options(nomem, nostack),
            );
        }
    }

    /// The tiles' shape: eight of 16 rows of 64 bytes (Intel's Software Developer's Manual, LDTILECFG).
    #[repr(C, align(64))]
    struct TileShapes {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_by_row: [u16; 16],
        rows: [u8; 16],
    }

    static TILES: TileShapes = TileShapes {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes_by_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    /// Four products of tiles in each step.
    macro_rules! tiles {
        ($name:ident, $instruction:literal) => {
            fn $name(steps: usize) {
                // SAFETY: it stands in the list only where the processor has the instructions and the kernel has
                // allowed this process the tiles; the shapes are read, and no other memory is touched.
                unsafe {
                    asm!(
                        "ldtilecfg [{shapes}]",
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        "tilezero tmm4", "tilezero tmm5", "tilezero tmm6", "tilezero tmm7",
                        "2:",
                        concat!($instruction, " tmm0, tmm4, tmm6"),
                        concat!($instruction, " tmm1, tmm4, tmm7"),
                        concat!($instruction, " tmm2, tmm5, tmm6"),
                        concat!($instruction, " tmm3, tmm5, tmm7"),
                        "dec {steps}",
                        "jnz 2b",
                        "tilerelease",
                        shapes = in(reg) &raw const TILES,
                        steps = inout(reg) steps => _,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }
        };
    }

    tiles!(int8_amx, "tdpbssd");
    tiles!(bf16_amx, "tdpbf16ps");

    /// Asks Linux for the tiles' state (`ARCH_REQ_XCOMP_PERM`, `XFEATURE_XTILEDATA`), as its documentation of AMX
    /// (`Documentation/arch/x86/xstate.rst`) wants it from each process before the first use.
    #[cfg(target_os = "linux")]
    fn tiles_allowed() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST_PERMISSION: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let mut result = ARCH_PRCTL;
        // SAFETY: the call changes what this process may use, and no memory.
        unsafe {
            asm!(
                "syscall",
                inout("rax") result,
                in("rdi") REQUEST_PERMISSION,
                in("rsi") TILE_DATA,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    #[cfg(not(target_os = "linux"))]
    fn tiles_allowed() -> bool {
        false
    }

    /// The bits of leaf 7 of CPUID that the standard library does not tell of in its oldest supported version.
    #[allow(unused_unsafe)] // It is safe in newer standard libraries.
    fn leaf_7() -> u32 {
        // SAFETY: the leaf is there, as a lower bound of it is looked at before.
        unsafe { if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 } }
    }

    /// What this processor has, the widest of each kind first.
    pub(super) fn kernels() -> Vec<Kernel> {
        let kernel = |number, instructions, operations: usize, run: fn(usize)| {
            Some(Kernel { number, instructions, operations: operations as u64, run })
        };
        let has_512 = is_x86_feature_detected!("avx512f");
        let bit = |number: u32| leaf_7() >> number & 1 == 1;
        let f32 = if has_512 {
            kernel(Number::F32, "AVX-512", 2 * 16 * SUMS, f32_avx512)
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            kernel(Number::F32, "AVX2", 2 * 8 * SUMS, f32_avx2)
        } else {
            Some(portable())
        };
        let f16 = (has_512 && bit(23))
            .then(|| kernel(Number::F16, "AVX-512 FP16", 2 * 32 * 12, f16_avx512))
            .flatten();
        let tiles = has_512 && bit(24) && tiles_allowed();
        // Tiles and what lies below them: not every program's kernels use tiles where there are some.
        let bf16_tiles = (tiles && bit(22))
            .then(|| kernel(Number::Bf16, "AMX", 2 * 16 * 16 * 32 * 4, bf16_amx))
            .flatten();
        let bf16 = if has_512 && is_x86_feature_detected!("avx512bf16") {
            kernel(Number::Bf16, "AVX-512 BF16", 2 * 32 * SUMS, bf16_avx512)
        } else {
            None
        };
        let int8_tiles = (tiles && bit(25))
            .then(|| kernel(Number::Int8, "AMX", 2 * 16 * 16 * 64 * 4, int8_amx))
            .flatten();
        let int8 = if is_x86_feature_detected!("avx512vnni") {
            kernel(Number::Int8, "AVX-512 VNNI", 2 * 64 * SUMS, int8_avx512)
        } else if is_x86_feature_detected!("avxvnni") {
            kernel(Number::Int8, "AVX-VNNI", 2 * 32 * SUMS, int8_avx_vnni)
        } else if is_x86_feature_detected!("avx2") {
            kernel(Number::Int8, "AVX2", 2 * 32 * SUMS, int8_avx2)
        } else {
            None
        };
        [f32, f16, bf16_tiles, bf16, int8_tiles, int8].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_number_has_kernels_of_its_own_and_each_runs() {
        let kernels = kernels();
        let mut ways: Vec<(Number, &str)> =
            kernels.iter().map(|kernel| (kernel.number, kernel.instructions)).collect();
        assert_eq!(ways.first().map(|(number, _)| *number), Some(Number::F32));
        for kernel in &kernels {
            (kernel.run)(3);
            assert!(kernel.operations > 0 && !kernel.instructions.is_empty());
        }
        let all = ways.len();
        ways.sort_unstable();
        ways.dedup();
        assert_eq!(ways.len(), all);
    }
}
