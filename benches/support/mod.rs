//! What the benchmarks share.

use std::hint::black_box;

use criterion::Criterion;

/// Benchmarks one call on each of the inputs in turn, after it has said how many allocations a
/// round makes once buffers are warm.
pub fn bench<T>(c: &mut Criterion, name: &str, inputs: &[T], mut call: impl FnMut(&T)) {
    inputs.iter().for_each(&mut call);
    let allocations = allocation_counter::measure(|| inputs.iter().for_each(&mut call));
    println!("{name}: {} allocations in {} calls", allocations.count_total, inputs.len());
    let mut turn = inputs.iter().cycle();
    c.bench_function(name, |b| {
        b.iter(|| {
            if let Some(input) = turn.next() {
                call(black_box(input));
            }
        });
    });
}
