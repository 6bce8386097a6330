// Which synapses take part: a bit for every (sample, cell, input), a pure function of those three, the key and p.
// For the kernels of the Kakuritsu layer, whose Params hold p and key0 to key3; with random.wgsl.
//
// One call of the generator draws a bit for each synapse of a block of 16 samples, 4 cells and 2 inputs, whose counter is
// (input / 2, cell / 4, sample / 16). The bit of (s, n, i) is bit 2 · (s % 16) + i % 2 of component n % 4.
//
// A synapse takes part if a random U in [0, 1) is below p, a fraction of 2^16. Bit by bit, U and p differ first where
// one of them has a 1: so, from p's last binary digit to its first, the mask is `mask | drawn` for a digit 1 and
// `mask & drawn` for a 0, for all 128 synapses at once. The first digit's bits are Threefry's, and for p = 1/2 they are
// the mask. For each further digit the state is forked: a multiple of four constants is added, as a subkey is elsewhere
// in Threefry, and 6 more rounds make the digit's bits. With 3 rounds digits of one synapse are visibly dependent, with
// 4 no dependence is found in 5e8 synapses, between the bits of a synapse, of pairs or of triples.

const DIGITS: u32 = 16; // 1 where p = 1/2

fn synapse_mask(input_pair: u32, cell_quad: u32, sample_group: u32) -> vec4u {
  let counter = vec4u(input_pair, cell_quad, sample_group, 1u << 24u); // Purpose.synapse
  let state = threefry13(counter, vec4u(params.key0, params.key1, params.key2, params.key3));
  if (DIGITS == 1u) { return threefry_words(state); }
  var mask = vec4u();
  mask = add_digit(mask, fork(state, 15u), 0u);
  mask = add_digit(mask, fork(state, 14u), 1u);
  mask = add_digit(mask, fork(state, 13u), 2u);
  mask = add_digit(mask, fork(state, 12u), 3u);
  mask = add_digit(mask, fork(state, 11u), 4u);
  mask = add_digit(mask, fork(state, 10u), 5u);
  mask = add_digit(mask, fork(state, 9u), 6u);
  mask = add_digit(mask, fork(state, 8u), 7u);
  mask = add_digit(mask, fork(state, 7u), 8u);
  mask = add_digit(mask, fork(state, 6u), 9u);
  mask = add_digit(mask, fork(state, 5u), 10u);
  mask = add_digit(mask, fork(state, 4u), 11u);
  mask = add_digit(mask, fork(state, 3u), 12u);
  mask = add_digit(mask, fork(state, 2u), 13u);
  mask = add_digit(mask, fork(state, 1u), 14u);
  return add_digit(mask, threefry_words(state), 15u);
}

// Bits of a further digit: rounds 13 to 18 from a state of its own. The constants are the fractions of √2, √3, √5, √7.
fn fork(state: Threefry, digit: u32) -> vec4u {
  var s = Threefry(state.a + digit * vec2u(0x6a09e667u, 0x3c6ef372u), state.b + digit * vec2u(0xa54ff53au, 0xbb67ae85u));
  s = threefry_round(s, vec2u(17u, 11u));
  s = threefry_round(s, vec2u(25u, 10u));
  s = threefry_round(s, vec2u(18u, 20u));
  s = threefry_round(s, vec2u(10u, 26u));
  s = threefry_round(s, vec2u(11u, 21u));
  s = threefry_round(s, vec2u(13u, 27u));
  return threefry_words(s);
}

// Takes in the digit of p that is worth 2^bit / 2^16. With all ones for a digit 1, and zeros for a 0, both cases are
// the majority of the three.
fn add_digit(mask: vec4u, drawn: vec4u, bit: u32) -> vec4u {
  let digit = vec4u(u32(i32(params.p << (31u - bit)) >> 31u));
  return (drawn & (mask | digit)) | (mask & digit);
}

// The bits of the first `count` samples of a group.
fn first_samples(count: u32) -> u32 { return select((1u << (2u * count)) - 1u, 0xffffffffu, count >= 16u); }
