//! Owns what a compiled model says of how it executes the products with weights: by which kernels, and in which types
//! the process holds the weights.
//!
//! The execution graph itself cannot be read through OpenVINO's C API, which has no way to an operation of a model. What
//! it does have are the operators that an inference has executed (`ov_infer_request_get_profiling_info`): the name that
//! each has in the model's file, its kind after the plugin's transformations, and its kernel. The kind
//! `FullyConnectedCompressed` is that of products whose weights stay compressed. All other weights are widened when the
//! model is compiled, but those of 16 bits that the file marks as decompressed at run time and whose kernel can do that.

use super::graph::Product;
use super::wrong;
use crate::record::{Execution, Failure, Products};
use openvino::{InferRequest, InferenceError};
use openvino_sys::{
    ov_infer_request_get_profiling_info, ov_infer_request_t, ov_profiling_info_list_free,
    ov_profiling_info_list_t,
};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};

/// The property that lets a compiled model tell of its operators.
pub(super) const PROPERTY: &str = "PERF_COUNT";

/// The kind of products with weights that stay compressed.
const COMPRESSED: &str = "FullyConnectedCompressed";

/// The start of the name of both kinds of products with weights.
const PRODUCT: &str = "FullyConnected";

/// The part of a kernel's name that says that it takes weights of 32 bits alone.
const WIDE_ALONE: &str = "mlas";

/// An operator that was executed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Operator {
    name: String,
    kind: String,
    kernel: String,
}

/// The operators that the last inference of a request has executed.
///
/// # Errors
/// If the model was compiled without [`PROPERTY`].
pub(super) fn operators(request: &InferRequest) -> Result<Vec<Operator>, Failure> {
    const { assert!(size_of::<InferRequest>() == size_of::<*mut ov_infer_request_t>()) };
    // SAFETY: the crate's request consists of the C API's pointer and of nothing else, as its source has it and its size
    // confirms; the pointer is used while the request is borrowed, and is not kept.
    let request: *const ov_infer_request_t =
        unsafe { std::mem::transmute_copy::<InferRequest, *mut ov_infer_request_t>(request) };
    let mut list = ov_profiling_info_list_t { profiling_infos: std::ptr::null_mut(), size: 0 };
    // SAFETY: both pointers are valid for the call, which fills the list in if it succeeds.
    let status = unsafe { ov_infer_request_get_profiling_info(request, &raw mut list) };
    InferenceError::convert(status, None).map_err(wrong)?;
    let operators = match list.profiling_infos.is_null() {
        true => Vec::new(),
        false => {
            // SAFETY: the call has filled in so many entries, which live until the list is freed below.
            let entries = unsafe { std::slice::from_raw_parts(list.profiling_infos, list.size) };
            entries
                .iter()
                .map(|entry| Operator {
                    name: text(entry.node_name),
                    kind: text(entry.node_type),
                    kernel: text(entry.exec_type),
                })
                .collect()
        }
    };
    // SAFETY: the list came from the call above, and nothing of it is used any more.
    unsafe { ov_profiling_info_list_free(&raw mut list) };
    Ok(operators)
}

/// A text of the C API; empty if there is none.
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: a text of the C API ends with a zero byte.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// What the operators say of the products of the model's file.
pub(super) fn execution(products: &[Product], operators: &[Operator]) -> Execution {
    let operators: BTreeMap<&str, &Operator> = operators
        .iter()
        .filter(|operator| operator.kind.starts_with(PRODUCT))
        .map(|operator| (operator.name.as_str(), operator))
        .collect();
    let mut alike: BTreeMap<(String, String, Option<String>), Products> = BTreeMap::new();
    let mut untold = 0;
    for product in products {
        let Some(operator) = operators.get(product.name.as_str()) else {
            untold += 1;
            continue;
        };
        let held = held(product, operator);
        let key = (operator.kernel.clone(), product.stored.clone(), held.clone());
        let group = alike.entry(key).or_insert_with(|| Products {
            kernel: operator.kernel.clone(),
            stored: product.stored.clone(),
            held: held.clone(),
            ..Products::default()
        });
        group.count += 1;
        group.weights += product.weights;
        group.bytes += match held.as_deref() {
            Some("f32") => 4 * product.weights,
            Some("f16" | "bf16") => 2 * product.weights,
            _ => product.bytes,
        };
    }
    let mut products: Vec<Products> = alike.into_values().collect();
    products.sort_by_key(|products| std::cmp::Reverse(products.weights));
    Execution { products, untold }
}

/// The type in which the process holds the weights of a product; `None` if it is not known.
fn held(product: &Product, operator: &Operator) -> Option<String> {
    let stored = product.stored.as_str();
    if operator.kind == COMPRESSED {
        return Some(stored.to_string());
    }
    let half = matches!(stored, "f16" | "bf16");
    match operator.kernel.rsplit('_').next() {
        // Kernels for activations of 16 bits take weights in the same type.
        Some(narrow @ ("bf16" | "f16")) => Some(narrow.to_string()),
        Some("f32") if operator.kernel.contains(WIDE_ALONE) => Some("f32".to_string()),
        // That such a kernel unpacks 16 bits itself is known of x86 alone.
        Some("f32") if half && product.stays && cfg!(not(target_arch = "x86_64")) => None,
        Some("f32") if half && product.stays => Some(stored.to_string()),
        Some("f32") => Some("f32".to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str, stored: &str, stays: bool) -> Product {
        let (name, stored) = (name.to_string(), stored.to_string());
        Product { name, stored, weights: 100, bytes: 60, stays }
    }

    fn operator(name: &str, kind: &str, kernel: &str) -> Operator {
        let [name, kind, kernel] = [name, kind, kernel].map(str::to_string);
        Operator { name, kind, kernel }
    }

    #[test]
    fn weights_are_held_as_kind_mark_and_kernel_say() {
        let of = |stored: &str, stays: bool, kind: &str, kernel: &str| {
            let products = [product("a", stored, stays)];
            let told = execution(&products, &[operator("a", kind, kernel)]);
            (told.products[0].held.clone().unwrap_or_default(), told.products[0].bytes)
        };
        let held = |name: &str, bytes: u64| (name.to_string(), bytes);
        assert_eq!(of("u4", false, COMPRESSED, "brgemm_avx2_f32"), held("u4", 60));
        assert_eq!(of("f8e4m3", false, PRODUCT, "gemm_mlas_f32"), held("f32", 400));
        assert_eq!(of("u3", false, PRODUCT, "brgemm_avx2_f32"), held("f32", 400));
        assert_eq!(of("f16", false, PRODUCT, "brgemm_avx2_f32"), held("f32", 400));
        assert_eq!(of("f16", true, PRODUCT, "gemm_mlas_f32"), held("f32", 400));
        assert_eq!(of("f16", false, PRODUCT, "brgemm_avx512_amx_bf16"), held("bf16", 200));
        if cfg!(target_arch = "x86_64") {
            assert_eq!(of("f16", true, PRODUCT, "brgemm_avx2_f32"), held("f16", 200));
        }
        assert_eq!(of("f16", true, PRODUCT, "something"), held("", 60), "not known");
    }

    #[test]
    fn products_that_are_not_told_of_are_counted() {
        let products =
            [product("a", "u8", false), product("b", "u8", false), product("c", "u4", false)];
        let told = execution(
            &products,
            &[
                operator("a", COMPRESSED, "k_f32"),
                operator("b", COMPRESSED, "k_f32"),
                operator("c", "MatMul", "k_f32"),
                operator("d", COMPRESSED, "k_f32"),
            ],
        );
        assert_eq!(told.untold, 1);
        assert_eq!(told.products.len(), 1);
        let both = &told.products[0];
        assert_eq!((both.count, both.weights, both.bytes), (2, 200, 120));
    }
}
