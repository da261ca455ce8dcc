//! Matrix product: the matrices, and the product of blocks that are small enough to be multiplied as they are. As in bench/workloads/matmul.c.

pub const BLOCK: usize = 32;
pub const MAX: usize = 1024;

static mut A: [f32; MAX * MAX] = [0.0; MAX * MAX];
static mut B: [f32; MAX * MAX] = [0.0; MAX * MAX];
static mut C: [f32; MAX * MAX] = [0.0; MAX * MAX];

/// c += a × b, for square parts of `size` (a power of two) in matrices of `stride` columns.
#[derive(Clone, Copy)]
pub struct Part {
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    pub size: usize,
    stride: usize,
}

// SAFETY: parts of one product that run at once write different quarters of c, and nobody writes a or b meanwhile.
unsafe impl Send for Part {}
unsafe impl Sync for Part {}

/// Fill a and b, which are always the same for one size, and empty c. Once before each product, in one thread at a time.
pub fn prepare(size: usize) {
    // SAFETY: no product is under way.
    unsafe {
        for i in 0..size * size {
            A[i] = (i * 7 % 11 % 4) as f32;
            B[i] = (i * 5 % 13 % 4) as f32;
        }
        C.fill(0.0);
    }
}

/// The whole product that was prepared.
pub fn all(size: usize) -> Part {
    // SAFETY: only their addresses are taken.
    unsafe { Part { a: A.as_ptr(), b: B.as_ptr(), c: C.as_mut_ptr(), size, stride: size } }
}

impl Part {
    /// One of the eight products of quarters: c's (row, column) += a's (row, inner) × b's (inner, column).
    pub fn quarter(&self, row: usize, column: usize, inner: usize) -> Part {
        let (half, stride) = (self.size / 2, self.stride);
        // SAFETY: quarters lie in the part.
        unsafe {
            Part {
                a: self.a.add(row * half * stride + inner * half),
                b: self.b.add(inner * half * stride + column * half),
                c: self.c.add(row * half * stride + column * half),
                size: half,
                stride,
            }
        }
    }

    /// The product of parts of BLOCK.
    pub fn multiply(&self) {
        for row in 0..BLOCK {
            // SAFETY: rows lie in the part, and c's are nobody else's now.
            let (from, to) = unsafe { (row_of(self.a, row * self.stride), row_of_mut(self.c, row * self.stride)) };
            for (inner, factor) in from.iter().enumerate() {
                add_scaled(to, *factor, unsafe { row_of(self.b, inner * self.stride) });
            }
        }
    }
}

/// Arguments are known not to overlap, which makes a loop of vectors of this one.
#[inline(always)]
fn add_scaled(to: &mut [f32; BLOCK], factor: f32, other: &[f32; BLOCK]) {
    for column in 0..BLOCK {
        to[column] += factor * other[column];
    }
}

unsafe fn row_of<'a>(matrix: *const f32, at: usize) -> &'a [f32; BLOCK] {
    &*matrix.add(at).cast()
}

unsafe fn row_of_mut<'a>(matrix: *mut f32, at: usize) -> &'a mut [f32; BLOCK] {
    &mut *matrix.add(at).cast()
}

fn apply(matrix: &[f32], vector: &[i64], size: usize) -> Vec<i64> {
    let rows = matrix.chunks_exact(size).take(size);
    rows.map(|row| row.iter().zip(vector).map(|(&number, &other)| number as i64 * other).sum()).collect()
}

/// How many rows of c are wrong, after Freivalds: c × v is a × (b × v) if c is a × b, and for a wrong row hardly ever.
pub fn count_wrong(size: usize, _returned: u64) -> u64 {
    let vector: Vec<i64> = (0..size as i64).map(|i| i * 31 % 101 + 1).collect();
    // SAFETY: the product is over.
    let (expected, actual) = unsafe { (apply(&A, &apply(&B, &vector, size), size), apply(&C, &vector, size)) };
    expected.iter().zip(&actual).filter(|(one, other)| one != other).count() as u64
}
