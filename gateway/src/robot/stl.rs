//! Meshes in STL, binary or text: their corners, which is all that a capsule needs to enclose them.
//!
//! A binary file has 80 bytes of anything, the number of triangles, and 50 bytes for each; that number is
//! what tells it from a text file, which may begin with the same word.

use super::pose::Point;
use crate::config::limits::MESH_CORNERS_MAX;

/// Why bytes are no mesh.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum StlError {
    /// Neither of both forms.
    #[error(
        "neither binary STL (its length fits no number of triangles) nor text that begins with `solid`"
    )]
    Unknown,
    /// A text with a corner that isn't three numbers.
    #[error("line {line}: expected `vertex` and three numbers")]
    Corner {
        /// From 1.
        line: usize,
    },
    /// A corner that is nowhere.
    #[error("corner {corner} is not a finite point")]
    NotFinite {
        /// From 1.
        corner: usize,
    },
    /// No triangle at all.
    #[error("there is no triangle in it")]
    Empty,
    /// More than can be looked at.
    #[error("more than {MESH_CORNERS_MAX} corners: reduce the mesh")]
    TooMany,
}

const HEAD_BYTES: usize = 84;
const TRIANGLE_BYTES: usize = 50;
/// A triangle's normal stands before its corners.
const NORMAL_BYTES: usize = 12;

/// The corners of all triangles, in the file's unit.
///
/// # Errors
/// What makes it no mesh.
pub fn corners(bytes: &[u8]) -> Result<Vec<Point>, StlError> {
    let corners = match triangles(bytes) {
        Some(triangles) => binary(triangles)?,
        None => text(bytes)?,
    };
    if corners.is_empty() {
        return Err(StlError::Empty);
    }
    match corners
        .iter()
        .position(|corner| !corner.iter().all(|part| part.is_finite()))
    {
        Some(at) => Err(StlError::NotFinite { corner: at + 1 }),
        None => Ok(corners),
    }
}

/// The triangles of a binary file, if it is one.
fn triangles(bytes: &[u8]) -> Option<&[[u8; TRIANGLE_BYTES]]> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    let count = u32::from_le_bytes(*head.last_chunk()?);
    let (triangles, rest) = bytes[HEAD_BYTES..].as_chunks();
    (rest.is_empty() && triangles.len() == count as usize).then_some(triangles)
}

fn binary(triangles: &[[u8; TRIANGLE_BYTES]]) -> Result<Vec<Point>, StlError> {
    if triangles.len() * 3 > MESH_CORNERS_MAX {
        return Err(StlError::TooMany);
    }
    let mut corners = Vec::with_capacity(triangles.len() * 3);
    for triangle in triangles {
        let numbers = triangle[NORMAL_BYTES..].as_chunks::<4>().0;
        for corner in numbers.as_chunks::<3>().0 {
            corners.push(corner.map(|number| f64::from(f32::from_le_bytes(number))));
        }
    }
    Ok(corners)
}

fn text(bytes: &[u8]) -> Result<Vec<Point>, StlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StlError::Unknown)?;
    if !text.trim_start().starts_with("solid") {
        return Err(StlError::Unknown);
    }
    let mut corners = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let mut words = row.split_ascii_whitespace();
        if words.next() != Some("vertex") {
            continue;
        }
        let numbers: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
        let corner = <Point>::try_from(numbers).map_err(|_| StlError::Corner { line })?;
        if corners.len() == MESH_CORNERS_MAX {
            return Err(StlError::TooMany);
        }
        corners.push(corner);
    }
    Ok(corners)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "solid one\n facet normal 0 0 1\n  outer loop\n   vertex 0 0 0\n   \
                        vertex 1e-1 0 0\n   vertex 0 0.2 0\n  endloop\n endfacet\nendsolid one\n";

    fn binary(corners: &[[f32; 3]]) -> Vec<u8> {
        // Some programs begin a binary file like a text.
        let mut bytes = b"solid but binary".to_vec();
        bytes.resize(80, b' ');
        bytes.extend(u32::try_from(corners.len() / 3).unwrap().to_le_bytes());
        for triangle in corners.chunks(3) {
            bytes.extend([0; NORMAL_BYTES]);
            for number in triangle.iter().flatten() {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend([0; 2]);
        }
        bytes
    }

    #[test]
    fn both_forms_give_their_corners() {
        let expected = [[0.0; 3], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]];
        assert_eq!(corners(TEXT.as_bytes()).unwrap(), expected);
        let one = [[0.0; 3], [0.5, 0.0, 0.0], [0.0, 0.25, 0.0]];
        let seen = corners(&binary(&one)).unwrap();
        assert_eq!(seen, one.map(|corner| corner.map(f64::from)));
    }

    #[test]
    fn what_is_no_mesh_says_why() {
        let whole = binary(&[[0.0; 3]; 3]);
        assert_eq!(corners(&whole[..whole.len() - 1]), Err(StlError::Empty));
        assert_eq!(corners(b""), Err(StlError::Unknown));
        assert_eq!(corners(&[0xFF; 200]), Err(StlError::Unknown));
        assert_eq!(corners(b"solid\nendsolid"), Err(StlError::Empty));
        assert_eq!(corners(&binary(&[])), Err(StlError::Empty));
        let cut = TEXT.replace("1e-1 0 0", "1e-1 0");
        assert_eq!(corners(cut.as_bytes()), Err(StlError::Corner { line: 5 }));
        let nowhere = binary(&[[0.0; 3], [f32::NAN; 3], [0.0; 3]]);
        assert_eq!(corners(&nowhere), Err(StlError::NotFinite { corner: 2 }));
    }
}
