// Which synapses take part: a bit for every (sample, cell, input), a pure function of those three, the key and p.
// For the kernels of the Kakuritsu layer, whose Params hold p and key0 to key3; with random.wgsl.
//
// One call of the generator draws a bit for each synapse of a block of 4 samples, 4 cells and 8 inputs:
//   sample s   group s / 4, place s % 4
//   cell n     group n / 32 · 8 + n % 8, place n / 8 % 4
//   input i    group i / 64 · 8 + i % 8, place i / 8 % 8
// A block's cells lie 8 apart, and so do its inputs: 8 neighbouring threads with neighbouring groups read 8
// neighbouring words of memory, whichever of the two axes they are spread over.

// Bit 8 · (cell's place) + (input's place) of component (sample's place) is 1 with probability p / 2^32.
//
// Each synapse compares a number U in [0, 1), of which it draws one binary digit at a time (1 for the digit 0, so that
// a word is the mask for p = 0.5), with p: the first digit in which they differ settles U < p. All 128 synapses of the
// block take their next digit from the generator's next counter, until none is open or p has no further digit 1.
// p is a fraction of 2^32 in (0, 2^32).
fn synapse_mask(input_group: u32, cell_group: u32, sample_group: u32) -> vec4u {
  let key = vec4u(params.key0, params.key1, params.key2, params.key3);
  var counter = vec4u(input_group, cell_group, sample_group, 1u << 24u); // Purpose.synapse
  var open = vec4u(0xffffffffu);
  var mask = vec4u(0u);
  var digits = params.p;
  loop {
    let drawn = threefry4x32(counter, key);
    if (digits >= 0x80000000u) {
      mask |= open & drawn;
      open &= ~drawn;
    } else {
      open &= drawn;
    }
    digits <<= 1u;
    counter.w++;
    if (digits == 0u || all(open == vec4u(0u))) { break; }
  }
  return mask;
}

// Groups that cover `count` inputs or cells; the last ones may have fewer places filled, or none.
fn input_groups(count: u32) -> u32 { return (count + 63u) / 64u * 8u; }
fn cell_groups(count: u32) -> u32 { return (count + 31u) / 32u * 8u; }

// The first input or cell of a group; the others follow 8 apart.
fn first_input(group: u32) -> u32 { return group / 8u * 64u + group % 8u; }
fn first_cell(group: u32) -> u32 { return group / 8u * 32u + group % 8u; }

// Of the elements first, first + 8, first + 16, …, how many are below `count`, 8 at most.
fn places(first: u32, count: u32) -> u32 { return min((max(count, first) - first + 7u) / 8u, 8u); }

// The mask bits of a group's inputs (cells) that exist, given how many do.
fn existing_inputs(places: u32) -> u32 { return ((1u << places) - 1u) * 0x01010101u; }
fn existing_cells(places: u32) -> u32 { return select((1u << (8u * places)) - 1u, 0xffffffffu, places >= 4u); }
