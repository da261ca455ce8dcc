//! Queens: a chess board with one queen in each of its first rows, as in bench/workloads/queens.h.

#[derive(Clone, Copy)]
pub struct Queens {
    column: [i8; 16],
    pub count: usize,
    pub size: usize,
}

impl Queens {
    pub fn new(size: usize) -> Queens {
        Queens { column: [0; 16], count: 0, size }
    }

    /// Whether a queen in the next row's `column` is attacked by none.
    #[inline]
    pub fn are_safe(&self, column: usize) -> bool {
        self.column[..self.count].iter().enumerate().all(|(row, &other)| {
            let (distance, across) = ((self.count - row) as i32, i32::from(other) - column as i32);
            across != 0 && across != distance && across != -distance
        })
    }

    /// The board with a queen there.
    #[inline]
    pub fn with(&self, column: usize) -> Queens {
        let mut next = *self;
        next.column[next.count] = column as i8;
        next.count += 1;
        next
    }
}
