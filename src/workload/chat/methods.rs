//! Owns Python's methods of texts, lists and mappings, as far as chat templates call them.

use super::python::{is_space, pairs, to_str};
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

type Result<T> = std::result::Result<T, Error>;

/// The methods that differ from the library's, or that it has not; then the library's own.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value> {
    let own = match value.kind() {
        ValueKind::String => of_text(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Map => of_mapping(value, method, args)?,
        ValueKind::Seq => of_list(value, method, args)?,
        _ => None,
    };
    match own {
        Some(value) => Ok(value),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// `str.title()`: a letter begins a word wherever none stands before it, so `user_name` is `User_Name` and `it's` is
/// `It'S`.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut within = false;
    for c in text.chars() {
        if within {
            out.extend(c.to_lowercase());
        } else {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
        }
        within = c.is_lowercase() || c.is_uppercase() || c.to_lowercase().next() != Some(c);
    }
    out
}

fn of_text(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>> {
    let ends = |at_start: bool, at_end: bool| -> Result<Value> {
        let (chars,): (Option<&str>,) = from_args(args)?;
        let strips = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
        let text = if at_start { text.trim_start_matches(strips) } else { text };
        Ok(Value::from(if at_end { text.trim_end_matches(strips) } else { text }))
    };
    Ok(Some(match method {
        "strip" => ends(true, true)?,
        "lstrip" => ends(true, false)?,
        "rstrip" => ends(false, true)?,
        "split" | "rsplit" => split(text, method == "rsplit", args)?,
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let found = match method {
                "partition" => text.split_once(separator),
                _ => text.rsplit_once(separator),
            };
            let parts = match found {
                Some((before, after)) => [before, separator, after],
                None if method == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            lines(text, keep.unwrap_or(false)).into_iter().map(Value::from).collect()
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "index" | "rindex" | "find" | "rfind" | "count" => within(text, method, args)?,
        // The library's takes no place to start from.
        "startswith" | "endswith" if args.len() > 1 => {
            let (part, rest): (&str, Vec<Value>) =
                (from_args::<(&str,)>(&args[..1])?.0, args[1..].to_vec());
            let part_of = &text[bounds(text, &rest)?];
            Value::from(if method == "startswith" {
                part_of.starts_with(part)
            } else {
                part_of.ends_with(part)
            })
        }
        "capitalize" => {
            let () = from_args(args)?;
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_uppercase().collect::<String>());
            Value::from(first.unwrap_or_default() + &chars.as_str().to_lowercase())
        }
        "title" => {
            let () = from_args(args)?;
            Value::from(title(text))
        }
        "isspace" => {
            let () = from_args(args)?;
            Value::from(!text.is_empty() && text.chars().all(is_space))
        }
        "zfill" | "ljust" | "rjust" | "center" => padded(text, method, args)?,
        "swapcase" => {
            let () = from_args(args)?;
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            Value::from(text.chars().map(swap).collect::<String>())
        }
        "join" => {
            let (values,): (&Value,) = from_args(args)?;
            let mut parts = Vec::new();
            for value in values.try_iter()? {
                match value.as_str() {
                    Some(part) => parts.push(part.to_string()),
                    None => {
                        let what = format!("join takes texts, and one is {}", to_str(&value));
                        return Err(invalid(what));
                    }
                }
            }
            Value::from(parts.join(text))
        }
        _ => return Ok(None),
    }))
}

/// Where a part of a text is, or how often, perhaps between two places.
fn within(text: &str, method: &str, args: &[Value]) -> Result<Value> {
    let (first, rest) =
        args.split_first().ok_or_else(|| invalid(format!("{method} takes a text")))?;
    let part = first.as_str().ok_or_else(|| invalid(format!("{method} takes a text")))?;
    let bounds = bounds(text, rest)?;
    let (start, inside) = (bounds.start, &text[bounds]);
    let found = match method {
        "count" => return Ok(Value::from(inside.matches(part).count())),
        "rindex" | "rfind" => inside.rfind(part),
        _ => inside.find(part),
    };
    match found {
        Some(place) => Ok(Value::from(text[..start + place].chars().count())),
        None if method.ends_with("index") => Err(invalid("substring not found")),
        None => Ok(Value::from(-1)),
    }
}

/// The bytes between two places that are counted in characters, from the end if they are negative.
fn bounds(text: &str, places: &[Value]) -> Result<std::ops::Range<usize>> {
    let count = text.chars().count() as i64;
    let place = |index: usize, otherwise: i64| -> Result<usize> {
        let given = places.get(index).filter(|value| !value.is_none());
        let place = given.map_or(Ok(otherwise), |value| i64::try_from(value.clone()))?;
        let place = if place < 0 { (place + count).max(0) } else { place.min(count) };
        let mut starts = text.char_indices().map(|(byte, _)| byte);
        Ok(starts.nth(place as usize).unwrap_or(text.len()))
    };
    let (start, end) = (place(0, 0)?, place(1, count)?);
    Ok(start..end.max(start))
}

/// `split(sep=None, maxsplit=-1)`, or `rsplit`: at white space, or at each separator.
fn split(text: &str, from_right: bool, args: &[Value]) -> Result<Value> {
    let (separator, most, keywords): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = match separator {
        Some(value) => Some(value),
        None => keywords.get::<Option<Value>>("sep")?,
    };
    let most = match most {
        Some(most) => most,
        None => keywords.get::<Option<i64>>("maxsplit")?.unwrap_or(-1),
    };
    keywords.assert_all_used()?;
    // So many parts, of which the last is the rest.
    let parts = usize::try_from(most).map_or(usize::MAX, |most| most.saturating_add(1));
    let separator = separator.filter(|value| !value.is_none() && !value.is_undefined());
    let found: Vec<String> = match separator {
        Some(value) => {
            let separator = value.as_str().ok_or_else(|| invalid("the separator is not a text"))?;
            if separator.is_empty() {
                return Err(invalid("empty separator"));
            }
            if from_right {
                let mut found: Vec<String> =
                    text.rsplitn(parts, separator).map(str::to_string).collect();
                found.reverse();
                found
            } else {
                text.splitn(parts, separator).map(str::to_string).collect()
            }
        }
        None if from_right => {
            let reversed: String = text.chars().rev().collect();
            let mut found: Vec<String> = at_space(&reversed, parts)
                .iter()
                .map(|part| part.chars().rev().collect())
                .collect();
            found.reverse();
            found
        }
        None => at_space(text, parts),
    };
    Ok(found.into_iter().map(Value::from).collect())
}

/// The words between white space; the last of `parts` is the rest, whose end stays as it is.
fn at_space(text: &str, parts: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if found.len() + 1 == parts {
            found.push(rest.to_string());
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        found.push(rest[..end].to_string());
        rest = rest[end..].trim_start_matches(is_space);
    }
    found
}

/// The lines of a text, as Python ends them.
fn lines(text: &str, keep: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(place) = rest.find(is_end) {
        let end = match rest[place..].starts_with("\r\n") {
            true => place + 2,
            false => place + rest[place..].chars().next().map_or(0, char::len_utf8),
        };
        found.push(&rest[..if keep { end } else { place }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

fn padded(text: &str, method: &str, args: &[Value]) -> Result<Value> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let missing = width.saturating_sub(text.chars().count());
    let fill = |count: usize| fill.unwrap_or(" ").repeat(count);
    Ok(Value::from(match method {
        "ljust" => text.to_string() + &fill(missing),
        "rjust" => fill(missing) + text,
        "center" => {
            let left = missing / 2 + (missing & width & 1);
            fill(left) + text + &fill(missing - left)
        }
        _ => {
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text),
            };
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
    }))
}

fn of_mapping(mapping: &Value, method: &str, args: &[Value]) -> Result<Option<Value>> {
    // A key of that name is found before the method by the library, and Python finds the method: see `jinja`.
    let list = |values: Vec<Value>| Ok(Some(Value::from(values)));
    match method {
        "keys" => {
            let () = from_args(args)?;
            list(pairs(mapping).into_iter().map(|(key, _)| key).collect())
        }
        "values" => {
            let () = from_args(args)?;
            list(pairs(mapping).into_iter().map(|(_, value)| value).collect())
        }
        "copy" => {
            let () = from_args(args)?;
            Ok(Some(mapping.clone()))
        }
        "update" | "pop" | "setdefault" | "clear" | "popitem" => Err(changes(method)),
        _ => Ok(None),
    }
}

fn of_list(list: &Value, method: &str, args: &[Value]) -> Result<Option<Value>> {
    match method {
        "index" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let place = list.try_iter()?.position(|value| value == *wanted);
            let place = place.ok_or_else(|| invalid("the value is not in the list"))?;
            Ok(Some(Value::from(place)))
        }
        "copy" => {
            let () = from_args(args)?;
            Ok(Some(list.clone()))
        }
        "append" | "extend" | "insert" | "pop" | "remove" | "sort" | "reverse" | "clear" => {
            Err(changes(method))
        }
        _ => Ok(None),
    }
}

/// Jinja's sandbox refuses what changes a list or a mapping, and so does transformers.
fn changes(method: &str) -> Error {
    invalid(format!("'{method}' would change a value, which the sandbox of chat templates refuses"))
}
