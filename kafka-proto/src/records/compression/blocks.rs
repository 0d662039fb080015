//! Cuts pieces that follow each other into blocks of one size, for codecs that pack block by block.

use bytes::Bytes;

use super::RecordsError;

/// Calls `each` with every block; all but the last have `size` bytes. A block within one piece is not copied.
pub(super) fn for_each_block(
    pieces: &[Bytes],
    size: usize,
    mut each: impl FnMut(&[u8]) -> Result<(), RecordsError>,
) -> Result<(), RecordsError> {
    let mut gathered = Vec::new();
    for piece in pieces {
        let missing = if gathered.is_empty() { 0 } else { size - gathered.len() };
        let (first, rest) = piece.split_at(missing.min(piece.len()));
        gathered.extend_from_slice(first);
        if gathered.len() == size {
            each(&gathered)?;
            gathered.clear();
        }
        let mut blocks = rest.chunks_exact(size);
        blocks.try_for_each(&mut each)?;
        gathered.extend_from_slice(blocks.remainder());
    }
    if gathered.is_empty() { Ok(()) } else { each(&gathered) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whole_and_in_order(pieces: Vec<Vec<u8>>, size in 1usize..64) {
            let all = pieces.concat();
            let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let mut blocks = Vec::new();
            for_each_block(&pieces, size, |block| {
                blocks.push(block.to_vec());
                Ok(())
            })
            .unwrap();
            let expected: Vec<Vec<u8>> = all.chunks(size).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(blocks, expected);
        }
    }
}
