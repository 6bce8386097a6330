// Which synapses take part: a bit for every (sample, cell, input), a pure function of those three, the key and p.
// For the kernels of the Kakuritsu layer, whose Params hold p and key0 to key3; with random.wgsl.
//
// One call of the generator draws a bit for each synapse of a block of 16 samples, 4 cells and 2 inputs, whose counter is
// (input / 2, cell / 4, sample / 16). The bit of (s, n, i) is bit 2 · (s % 16) + i % 2 of component n % 4.
//
// A synapse takes part if a random U in [0, 1) is below p, a fraction of 2^32. The first 10 binary digits of U are drawn
// and compared for all 128 synapses at once, from the last digit to the first: where p has a 1 the mask becomes
// `mask | drawn`, where it has a 0, `mask & drawn`. The few synapses whose 10 digits are p's, 1 in 1024, are left open: each
// gets 32 bits of its own, which are compared with the other 22 digits of p. (Fewer first digits leave more to a loop
// that branch prediction cannot foresee; on lavapipe 10 and 11 take the least time.)
//
// The first digit's bits are Threefry's, and for p = 1/2 they are the mask. For anything further the state is forked: a
// multiple of four constants, and an open synapse's own bit, enter the state as subkeys do, and 6 more rounds follow.
// Each result by itself is that of a Threefry of 19 rounds; how it depends on the others rests on those 6. With 3 rounds
// the means of synapses are off and with 4 the covariances of pairs; with 6 neither shows in 4e9 synapses.

const FIRST_DIGITS: u32 = 10; // 1 where p = 1/2

fn synapse_mask(input_pair: u32, cell_quad: u32, sample_group: u32) -> vec4u {
  let counter = vec4u(input_pair, cell_quad, sample_group, 1u << 24u); // Purpose.synapse
  let state = threefry13(counter, vec4u(params.key0, params.key1, params.key2, params.key3));
  if (FIRST_DIGITS == 1u) { return threefry_words(state); }
  var digits = Digits(vec4u(), vec4u(0xffffffffu));
  digits = add_digit(digits, fork(state, 9u, vec4u()), 22u);
  digits = add_digit(digits, fork(state, 8u, vec4u()), 23u);
  digits = add_digit(digits, fork(state, 7u, vec4u()), 24u);
  digits = add_digit(digits, fork(state, 6u, vec4u()), 25u);
  digits = add_digit(digits, fork(state, 5u, vec4u()), 26u);
  digits = add_digit(digits, fork(state, 4u, vec4u()), 27u);
  digits = add_digit(digits, fork(state, 3u, vec4u()), 28u);
  digits = add_digit(digits, fork(state, 2u, vec4u()), 29u);
  digits = add_digit(digits, fork(state, 1u, vec4u()), 30u);
  digits = add_digit(digits, threefry_words(state), 31u);

  let rest = params.p << 10u;
  var mask = digits.mask;
  var open = select(vec4u(), digits.open, rest != 0u);
  while (any(open != vec4u())) {
    let first = first_bit(open);
    mask |= select(vec4u(), first, fork(state, 10u, first).x < rest);
    open ^= first;
  }
  return mask;
}

// The mask as far as its digits are known, and the synapses whose digits have all been p's.
struct Digits { mask: vec4u, open: vec4u }

// Takes in the digit that is worth 2^bit / 2^32. `digit` is p's in all bits: the two cases of the mask are then one, the
// majority of three. A drawn 1 stands for U's digit 0.
fn add_digit(digits: Digits, drawn: vec4u, bit: u32) -> Digits {
  let digit = vec4u(u32(i32(params.p << (31u - bit)) >> 31u));
  let mask = (drawn & (digits.mask | digit)) | (digits.mask & digit);
  return Digits(mask, digits.open & (drawn ^ digit));
}

// Rounds 13 to 18 from a state of its own. The constants are the fractions of √2, √3, √5 and √7.
fn fork(state: Threefry, times: u32, synapse: vec4u) -> vec4u {
  var s = Threefry(
    (state.a + times * vec2u(0x6a09e667u, 0x3c6ef372u)) ^ synapse.xz,
    (state.b + times * vec2u(0xa54ff53au, 0xbb67ae85u)) ^ synapse.wy,
  );
  s = threefry_round(s, vec2u(17u, 11u));
  s = threefry_round(s, vec2u(25u, 10u));
  s = threefry_round(s, vec2u(18u, 20u));
  s = threefry_round(s, vec2u(10u, 26u));
  s = threefry_round(s, vec2u(11u, 21u));
  s = threefry_round(s, vec2u(13u, 27u));
  return threefry_words(s);
}

// The lowest 1 of the first component that has one, alone.
fn first_bit(bits: vec4u) -> vec4u {
  let before = vec4u(0u, bits.x, bits.x | bits.y, bits.x | bits.y | bits.z);
  return select(vec4u(), bits & (~bits + 1u), before == vec4u());
}

// The bits of the first `count` samples of a group.
fn first_samples(count: u32) -> u32 { return select((1u << (2u * count)) - 1u, 0xffffffffu, count >= 16u); }
