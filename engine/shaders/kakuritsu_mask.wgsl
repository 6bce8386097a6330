// Which synapses take part: a bit for every (sample, cell, input), a pure function of those three, the key and p.
// For the kernels of the Kakuritsu layer, whose Params hold p and key0 to key3; with random.wgsl.
//
// States. The synapses of 16 samples, 4 cells and 4 inputs have a state of their own: Threefry's of the counter
// (input / 4, cell / 4, sample / 16) for the first two inputs, and a fork of it for the last two. A state gives the mask of
// its 128 synapses: the bit of (s, n, i) is bit 2 · (s % 16) + i % 2 of component n % 4.
//
// Digits. A synapse takes part if a random U in [0, 1) is below p, a fraction of 2^32: if, at the first binary digit where
// U and p differ, p has the 1. A drawn 1 stands for a digit of U that differs from p's, a 0 for a tie.
//   Digits 1 to 5 are drawn for all 128 synapses: 4 words a digit. The first digit's are the state itself, and for
//     p = 1/2 they are the mask.
//   Digits 6 to 13 are drawn for the 1 synapse in 32 that is tied after that: 1 word a digit, in which bit k serves the
//     first of the four components that is tied at its bit k. The second one takes bit k + 16 (modulo 32), if no component
//     is tied there.
//   Synapses that are still open, 1 mask in 27 has one, get the rest of their digits as a word of their own: from the
//     6th on if nothing has served them, else from the 14th on.
// All decisions are independent: which bits serve a synapse depends on digits 1 to 5 alone, and no bit serves two. (Fewer
// digits for all would leave more to the loop at the end, which branch prediction cannot foresee.)
//
// Forks. A multiple of four constants, and an open synapse's own bit, enter the state as subkeys do, and 6 more rounds
// follow. Each result by itself is that of a Threefry of 19 rounds, or 25; how it depends on the others rests on those 6.
// With 3 rounds the means of synapses are off and with 4 the covariances of pairs; with 6 neither shows in 4e9 synapses.

const ALL_DIGITS: bool = true; // false where p = 1/2

// What all masks of a dispatch have in common. Taken once, for adapters that load a uniform wherever it is used.
struct Draws { key: vec4u, p: u32 }

fn all_draws() -> Draws { return Draws(vec4u(params.key0, params.key1, params.key2, params.key3), params.p); }

// The state of an input quad's first two inputs.
fn first_state(draws: Draws, input_quad: u32, cell_quad: u32, sample_group: u32) -> Threefry {
  return threefry13(vec4u(input_quad, cell_quad, sample_group, 1u << 24u), draws.key); // Purpose.synapse
}

// The state of its last two.
fn second_state(first: Threefry) -> Threefry { return fork(first, 7u, vec4u()); }

fn synapse_mask(draws: Draws, state: Threefry) -> vec4u {
  let drawn1 = threefry_words(state);
  if (!ALL_DIGITS) { return drawn1; }
  let drawn2 = threefry_words(fork(state, 1u, vec4u()));
  let drawn3 = threefry_words(fork(state, 2u, vec4u()));
  let drawn4 = threefry_words(fork(state, 3u, vec4u()));
  let drawn5 = threefry_words(fork(state, 4u, vec4u()));
  // From the last digit to the first, the mask if all digits before are tied: mask = select(mask, digit, drawn). Kept as
  // below = mask ^ digit, which takes one operation of three operands.
  let change = draws.p ^ (draws.p << 1u);
  var below = vec4u(digit(draws.p, 5u)) & ~drawn5;
  below = (below ^ vec4u(digit(change, 4u))) & ~drawn4;
  below = (below ^ vec4u(digit(change, 3u))) & ~drawn3;
  below = (below ^ vec4u(digit(change, 2u))) & ~drawn2;
  below = (below ^ vec4u(digit(change, 1u))) & ~drawn1;
  let mask = below ^ vec4u(digit(draws.p, 1u));
  // Where p has no further digit, a tie is not below it.
  if ((draws.p << 5u) == 0u) { return mask; }
  return mask | settle(draws, state, ~(drawn1 | drawn2 | drawn3 | drawn4 | drawn5));
}

// Which of the synapses that are tied after 5 digits take part.
fn settle(draws: Draws, state: Threefry, tied: vec4u) -> vec4u {
  let drawn6 = threefry_words(fork(state, 5u, vec4u()));
  let drawn10 = threefry_words(fork(state, 6u, vec4u()));
  let change = draws.p ^ (draws.p << 1u);
  var below = digit(draws.p, 13u) & ~drawn10.w;
  below = (below ^ digit(change, 12u)) & ~drawn10.z;
  below = (below ^ digit(change, 11u)) & ~drawn10.y;
  below = (below ^ digit(change, 10u)) & ~drawn10.x;
  below = (below ^ digit(change, 9u)) & ~drawn6.w;
  below = (below ^ digit(change, 8u)) & ~drawn6.z;
  below = (below ^ digit(change, 7u)) & ~drawn6.y;
  below = (below ^ digit(change, 6u)) & ~drawn6.x;
  let joint = below ^ digit(draws.p, 6u);
  let either = drawn6 | drawn10;
  let joint_tied = ~(either.x | either.y | either.z | either.w);

  let before = vec4u(0u, tied.x, tied.x | tied.y, tied.x | tied.y | tied.z);
  let first = tied & ~before;
  let others = tied & before;
  let second = others & ~vec4u(0u, 0u, others.y, others.y | others.z) & vec4u(~turn(before.w | tied.w));
  let unserved = others & ~second;
  var mask = (first & vec4u(joint)) | (second & vec4u(turn(joint)));

  let rest = vec2u(draws.p << 5u, draws.p << 13u);
  let open_served = (first & vec4u(joint_tied)) | (second & vec4u(turn(joint_tied)));
  var open = unserved | select(vec4u(), open_served, rest.y != 0u);
  // The test comes before the loop, and again at its end: llvmpipe leaves a loop nowhere else.
  if (any(open != vec4u())) {
    loop {
      let synapse = first_bit(open);
      let own_rest = select(rest.y, rest.x, any((synapse & unserved) != vec4u()));
      mask |= select(vec4u(), synapse, threefry_words(fork(state, 8u, synapse)).x < own_rest);
      open ^= synapse;
      continuing { break if all(open == vec4u()); }
    }
  }
  return mask;
}

// The digit of p that is worth 2^-place, in all bits.
fn digit(p: u32, place: u32) -> u32 { return u32(i32(p << (place - 1u)) >> 31u); }

fn turn(bits: u32) -> u32 { return (bits << 16u) | (bits >> 16u); }

// 6 rounds, 13 to 18, from a state of its own. The constants are the fractions of √2, √3, √5 and √7.
fn fork(state: Threefry, times: u32, synapse: vec4u) -> Threefry {
  var s = Threefry(
    (state.a + times * vec2u(0x6a09e667u, 0x3c6ef372u)) ^ synapse.xz,
    (state.b + times * vec2u(0xa54ff53au, 0xbb67ae85u)) ^ synapse.wy,
  );
  s = threefry_round(s, vec2u(17u, 11u));
  s = threefry_round(s, vec2u(25u, 10u));
  s = threefry_round(s, vec2u(18u, 20u));
  s = threefry_round(s, vec2u(10u, 26u));
  s = threefry_round(s, vec2u(11u, 21u));
  return threefry_round(s, vec2u(13u, 27u));
}

// The lowest 1 of the first component that has one, alone.
fn first_bit(bits: vec4u) -> vec4u {
  let before = vec4u(0u, bits.x, bits.x | bits.y, bits.x | bits.y | bits.z);
  return select(vec4u(), bits & (~bits + 1u), before == vec4u());
}

// The bits of the first `count` samples of a group.
fn first_samples(count: u32) -> u32 { return select((1u << (2u * count)) - 1u, 0xffffffffu, count >= 16u); }
