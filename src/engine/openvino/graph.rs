//! Owns what an IR's graph says of the work for each token: which constants its products read and in which types,
//! which are only looked up, how large the key-value cache grows, and how the weights were quantized.

use super::ir::attribute;
use super::recipe::Recipe;
use crate::problem::{Problem, Result};
use crate::record::Work;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Number of a layer, as the edges name it.
type Id = u64;

/// The graph of an IR, as far as it is needed.
#[derive(Debug, Default)]
struct Graph {
    layers: BTreeMap<Id, Layer>,
    /// What feeds a layer, by the number of its port.
    inputs: BTreeMap<Id, BTreeMap<u32, Id>>,
    /// What the file says of its quantization.
    recipe: Recipe,
}

/// One operation.
#[derive(Debug, Default)]
struct Layer {
    name: String,
    kind: String,
    /// Whether it only unpacks a weight, and is marked to stay when the model is compiled.
    decompression: bool,
    /// The attributes of its `<data>`.
    data: BTreeMap<String, String>,
    /// The dimensions of its first input; those that are not fixed are left out.
    first_input: Vec<u64>,
}

/// Operations that stand between a weight as it is stored and the product that it is used in. A `Gather` looks the
/// value of an index up in a codebook, where both are constants.
const UNPACKING: [&str; 7] =
    ["Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeConvert", "Gather"];

/// Longest chain of such operations.
const DEPTH: usize = 8;

/// A product with weights, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    /// The operation's name.
    pub(super) name: String,
    /// The type of its weights.
    pub(super) stored: String,
    /// How many there are.
    pub(super) weights: u64,
    /// Bytes of these, with scales, zero points and codebooks.
    pub(super) bytes: u64,
    /// Whether weights of 16 bits are marked to stay as they are when the model is compiled.
    pub(super) stays: bool,
}

/// Reads the work of a token from an IR's XML.
///
/// # Errors
/// If it cannot be read or is no XML.
pub(super) fn work(xml: &Path) -> Result<Work> {
    Ok(read(xml)?.work())
}

/// Reads the products with weights from an IR's XML.
///
/// # Errors
/// If it cannot be read or is no XML.
pub(super) fn products(xml: &Path) -> Result<Vec<Product>> {
    Ok(read(xml)?.products())
}

fn read(xml: &Path) -> Result<Graph> {
    let text = std::fs::read(xml).map_err(|error| Problem::io(xml, "read it", &error))?;
    parse(&String::from_utf8_lossy(&text)).map_err(|error| {
        Problem::in_file(xml, format!("is no IR of OpenVINO: {error}")).help(super::MAKE_AGAIN)
    })
}

impl Graph {
    fn work(&self) -> Work {
        let multiplied = self.constants_of("MatMul", &[0, 1]);
        let mut looked_up = self.constants_of("Gather", &[0]);
        looked_up.retain(|id| !multiplied.contains(id));
        let weights: Vec<&Layer> = multiplied.iter().map(|id| &self.layers[id]).collect();
        let all = self.layers.values().filter(|layer| layer.kind == "Const");
        let weight_bytes = bytes_of(weights.iter().copied());
        let looked_up_bytes = bytes_of(looked_up.iter().map(|id| &self.layers[id]));
        // Scales and zero points are no weights: of each product the largest constant is.
        let products = self.of_kind("MatMul").filter_map(|id| self.largest_constant(id));
        let products: BTreeMap<Id, &Layer> = products.map(|id| (id, &self.layers[&id])).collect();
        let mut types: BTreeMap<String, u64> = BTreeMap::new();
        for layer in products.values() {
            *types.entry(layer.text("element_type").to_string()).or_default() += layer.elements();
        }
        Work {
            weights: products.values().map(|layer| layer.elements()).sum(),
            weight_bytes,
            stored: most(&types),
            types,
            recipe: self.recipe.words(),
            looked_up_bytes,
            other_bytes: bytes_of(all).saturating_sub(weight_bytes + looked_up_bytes),
            cache_numbers: self.cache_numbers(|_| true),
            cache_keys: self.cache_numbers(|variable| variable.contains("key")),
            attention_products: self.attention_products(),
        }
    }

    /// Every product with weights, each by its own operation.
    fn products(&self) -> Vec<Product> {
        let product = |id: Id| {
            let largest = self.largest_constant(id)?;
            let port = [0, 1].into_iter().find(|port| {
                self.unpacked(id, *port).is_some_and(|found| found.contains(&largest))
            })?;
            let constants = self.unpacked(id, port)?;
            let weights = &self.layers[&largest];
            Some(Product {
                name: self.layers[&id].name.clone(),
                stored: weights.text("element_type").to_string(),
                weights: weights.elements(),
                bytes: bytes_of(constants.iter().map(|id| &self.layers[id])),
                stays: self.is_marked(largest),
            })
        };
        self.of_kind("MatMul").filter_map(product).collect()
    }

    /// Whether what widens a constant is marked as decompression.
    fn is_marked(&self, constant: Id) -> bool {
        self.layers.iter().any(|(id, layer)| {
            let fed =
                || self.inputs.get(id).is_some_and(|from| from.values().any(|id| *id == constant));
            layer.decompression && fed()
        })
    }

    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = Id> {
        self.layers.iter().filter(move |(_, layer)| layer.kind == kind).map(|(id, _)| *id)
    }

    /// The constants that feed some ports of all operations of a kind, with nothing but their unpacking between.
    fn constants_of(&self, kind: &'static str, ports: &[u32]) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        for id in self.of_kind(kind) {
            for port in ports {
                found.extend(self.unpacked(id, *port).unwrap_or_default());
            }
        }
        found
    }

    /// The constants that an input is made of; `None` if anything else is in it.
    fn unpacked(&self, id: Id, port: u32) -> Option<Vec<Id>> {
        let mut found = Vec::new();
        let source = *self.inputs.get(&id)?.get(&port)?;
        self.collect(source, DEPTH, &mut found)?;
        Some(found)
    }

    fn collect(&self, id: Id, depth: usize, found: &mut Vec<Id>) -> Option<()> {
        let layer = self.layers.get(&id)?;
        if layer.kind == "Const" {
            found.push(id);
            return Some(());
        }
        if depth == 0 || !UNPACKING.contains(&layer.kind.as_str()) {
            return None;
        }
        self.inputs.get(&id)?.values().try_for_each(|from| self.collect(*from, depth - 1, found))
    }

    /// The weights of a product.
    fn largest_constant(&self, product: Id) -> Option<Id> {
        let constants =
            [0, 1].into_iter().filter_map(|port| self.unpacked(product, port)).flatten();
        constants.max_by_key(|id| self.layers[id].elements())
    }

    /// Numbers of some state variables for each position. The one dimension that grows and the rows are not fixed.
    fn cache_numbers(&self, of: fn(&str) -> bool) -> u64 {
        let states = self.layers.values().filter(|layer| layer.kind == "ReadValue");
        let states = states.filter(|layer| of(layer.text("variable_id")));
        states.map(|layer| fixed(layer.text("variable_shape")).product::<u64>()).sum()
    }

    /// Queries with keys, and weights with values: each as wide as all heads together.
    fn attention_products(&self) -> u64 {
        let attention =
            self.layers.values().filter(|layer| layer.kind == "ScaledDotProductAttention");
        attention.map(|layer| 2 * layer.first_input.iter().product::<u64>()).sum()
    }
}

impl Layer {
    fn text(&self, key: &str) -> &str {
        self.data.get(key).map_or("", String::as_str)
    }

    fn elements(&self) -> u64 {
        fixed(self.text("shape")).product()
    }
}

/// The type that most weights have.
fn most(types: &BTreeMap<String, u64>) -> String {
    let most = types.iter().max_by_key(|(_, weights)| **weights);
    most.map(|(name, _)| name.clone()).unwrap_or_default()
}

/// Bytes of constants, each stretch of the file once.
fn bytes_of<'a>(layers: impl Iterator<Item = &'a Layer>) -> u64 {
    let number = |layer: &Layer, key| layer.text(key).parse::<u64>().unwrap_or(0);
    let stretches: BTreeSet<(u64, u64)> =
        layers.map(|layer| (number(layer, "offset"), number(layer, "size"))).collect();
    stretches.iter().map(|(_, size)| size).sum()
}

/// The fixed ones of dimensions like `?,3,?,64` or `576, 576`.
fn fixed(shape: &str) -> impl Iterator<Item = u64> {
    shape.split(',').filter_map(|dimension| dimension.trim().parse().ok())
}

/// Where the XML is read.
#[derive(Default)]
struct Place {
    layer: Option<Id>,
    in_input: bool,
    /// Ports of the layer's inputs that were begun.
    ports: u32,
    in_dimension: bool,
}

fn parse(text: &str) -> std::result::Result<Graph, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    let (mut graph, mut place) = (Graph::default(), Place::default());
    loop {
        match reader.read_event()? {
            Event::Start(tag) => open(&mut graph, &mut place, &tag),
            Event::Empty(tag) => {
                open(&mut graph, &mut place, &tag);
                close(&mut place, tag.name().0);
            }
            Event::Text(words) if place.in_dimension && place.in_input && place.ports == 1 => {
                let layer = place.layer.and_then(|id| graph.layers.get_mut(&id));
                if let (Some(layer), Ok(size)) = (layer, words.trim().parse::<u64>()) {
                    layer.first_input.push(size);
                }
            }
            Event::End(tag) => close(&mut place, tag.name().0),
            Event::Eof => return Ok(graph),
            _ => {}
        }
    }
}

fn open(graph: &mut Graph, place: &mut Place, tag: &BytesStart<'_>) {
    let number = |key| attribute(tag, key)?.parse::<u64>().ok();
    if place.layer.is_none() {
        graph.recipe.open(tag);
    }
    match tag.name().0 {
        "layer" => {
            let Some(id) = number("id") else { return };
            let kind = attribute(tag, "type").unwrap_or_default();
            let name = attribute(tag, "name").unwrap_or_default();
            graph.layers.insert(id, Layer { name, kind, ..Layer::default() });
            *place = Place { layer: Some(id), ..Place::default() };
        }
        "attribute" if attribute(tag, "name").as_deref() == Some("decompression") => {
            if let Some(layer) = place.layer.and_then(|id| graph.layers.get_mut(&id)) {
                layer.decompression = true;
            }
        }
        "data" => {
            let Some(layer) = place.layer.and_then(|id| graph.layers.get_mut(&id)) else { return };
            const KEPT: [&str; 6] =
                ["element_type", "shape", "offset", "size", "variable_id", "variable_shape"];
            let kept = KEPT.iter().filter_map(|key| Some((key.to_string(), attribute(tag, key)?)));
            layer.data.extend(kept);
        }
        "input" => place.in_input = true,
        "port" => place.ports += 1,
        "dim" => place.in_dimension = true,
        "edge" => {
            let ends = (number("from-layer"), number("to-layer"), number("to-port"));
            if let (Some(from), Some(to), Some(port)) = ends {
                graph.inputs.entry(to).or_default().insert(port as u32, from);
            }
        }
        _ => {}
    }
}

fn close(place: &mut Place, name: &str) {
    match name {
        "layer" => *place = Place::default(),
        "input" => place.in_input = false,
        "dim" => place.in_dimension = false,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(id: Id, kind: &str, data: &str, input: &str) -> String {
        format!("<layer id=\"{id}\" name=\"n\" type=\"{kind}\"><data {data}/>{input}</layer>")
    }

    fn constant(id: Id, kind: &str, shape: &str, [offset, size]: [u64; 2]) -> String {
        let data = format!(
            "element_type=\"{kind}\" shape=\"{shape}\" offset=\"{offset}\" size=\"{size}\""
        );
        layer(id, "Const", &data, "")
    }

    /// A quantized product, a table that is looked up and used in a product too, one that is only looked up, a norm,
    /// a cache and an attention.
    fn ir() -> String {
        let dims = "<input><port id=\"0\"><dim>-1</dim><dim>9</dim><dim>-1</dim><dim>64</dim></port>\
                    <port id=\"1\"><dim>7</dim></port></input>";
        let layers = [
            layer(0, "Parameter", "", ""),
            constant(1, "u8", "4, 8", [0, 32]),
            constant(2, "u8", "4, 1", [32, 4]),
            constant(3, "f16", "4, 1", [36, 8]),
            layer(4, "Convert", "", ""),
            layer(5, "Convert", "", ""),
            layer(6, "Subtract", "", ""),
            layer(7, "Multiply", "", ""),
            layer(8, "MatMul", "", ""),
            constant(9, "f16", "10, 8", [44, 160]),
            layer(10, "Gather", "", ""),
            layer(11, "MatMul", "", ""),
            constant(12, "f16", "5, 8", [204, 80]),
            layer(13, "Gather", "", ""),
            constant(14, "f32", "8", [284, 32]),
            layer(15, "Multiply", "", ""),
            layer(16, "ReadValue", "variable_id=\"past.0.key\" variable_shape=\"?,3,?,64\"", ""),
            layer(17, "ScaledDotProductAttention", "", dims),
            layer(18, "MatMul", "", ""),
        ];
        let edge = |[from, to, port]: [u64; 3]| {
            format!(
                "<edge from-layer=\"{from}\" from-port=\"0\" to-layer=\"{to}\" to-port=\"{port}\"/>"
            )
        };
        let edges = [
            [1, 4, 0],
            [2, 5, 0],
            [4, 6, 0],
            [5, 6, 1],
            [6, 7, 0],
            [3, 7, 1],
            [0, 8, 0],
            [7, 8, 1],
            [9, 10, 0],
            [0, 10, 1],
            [0, 11, 0],
            [9, 11, 1],
            [12, 13, 0],
            [0, 13, 1],
            [0, 15, 0],
            [14, 15, 1],
            [0, 18, 0],
            [15, 18, 1],
        ];
        let edges: String = edges.into_iter().map(edge).collect();
        format!("<net><layers>{}</layers><edges>{edges}</edges></net>", layers.concat())
    }

    /// A product whose weights are indices into a codebook, as NNCF's CB4 and CODEBOOK write them.
    #[test]
    fn weights_of_a_codebook_are_its_indices() {
        let convert = "<layer id=\"3\" name=\"c\" type=\"Convert\"><data destination_type=\"f32\"/>\
                       <rt_info><attribute name=\"decompression\" version=\"0\"/></rt_info></layer>";
        let layers = [
            constant(0, "f8e4m3", "16", [0, 16]),
            constant(1, "u4", "6, 8", [16, 24]),
            constant(2, "i64", "", [40, 8]),
            convert.to_string(),
            layer(4, "Gather", "", ""),
            constant(5, "f16", "6, 1", [48, 12]),
            layer(6, "Multiply", "", ""),
            layer(7, "Parameter", "", ""),
            layer(8, "MatMul", "", ""),
        ];
        let edge = |[from, to, port]: [u64; 3]| {
            format!(
                "<edge from-layer=\"{from}\" from-port=\"0\" to-layer=\"{to}\" to-port=\"{port}\"/>"
            )
        };
        let edges = [
            [0, 3, 0],
            [3, 4, 0],
            [1, 4, 1],
            [2, 4, 2],
            [4, 6, 0],
            [5, 6, 1],
            [7, 8, 0],
            [6, 8, 1],
        ];
        let edges: String = edges.into_iter().map(edge).collect();
        let graph = parse(&format!(
            "<net><layers>{}</layers><edges>{edges}</edges></net>",
            layers.concat()
        ));
        let graph = graph.unwrap();
        let work = graph.work();
        assert_eq!((work.weights, work.stored.as_str()), (48, "u4"));
        assert_eq!((work.weight_bytes, work.other_bytes), (16 + 24 + 8 + 12, 0));
        let products = graph.products();
        assert_eq!(products.len(), 1);
        assert_eq!(
            (products[0].bytes, products[0].stays),
            (60, false),
            "the mark is the codebook's"
        );
    }

    #[test]
    fn what_products_read_is_told_from_what_is_looked_up() {
        let work = parse(&ir()).unwrap().work();
        let expected = Work {
            weights: 32 + 80,
            weight_bytes: 32 + 4 + 8 + 160,
            stored: "f16".to_string(),
            types: [("u8".to_string(), 32), ("f16".to_string(), 80)].into(),
            recipe: None,
            looked_up_bytes: 80,
            other_bytes: 32,
            cache_numbers: 3 * 64,
            cache_keys: 3 * 64,
            attention_products: 2 * 9 * 64,
        };
        assert_eq!(work, expected);
    }
}
