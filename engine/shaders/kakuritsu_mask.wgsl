// Which synapses take part: a bit for every (sample, cell, input), a pure function of those three, the key and p.
// For the kernels of the Kakuritsu layer, whose Params hold p and key0 to key3; with random.wgsl.
//
// States. The synapses of 16 samples, 4 cells and 4 inputs have a state of their own: Threefry's of the counter
// (input / 4, cell / 4, sample / 16) for the first two inputs, and a fork of it for the last two. A state gives the mask of
// its 128 synapses: the bit of (s, n, i) is bit 2 · (s % 16) + i % 2 of component n % 4.
//
// Digits. A synapse takes part if a random U in [0, 1) is below p, a fraction of 2^32: if, at the first binary digit where
// U and p differ, p has the 1. A drawn 1 stands for a digit of U that differs from p's, a 0 for a tie.
//   Digits 1 to 4 are drawn for all 128 synapses: 4 words a digit. The first digit's are the state itself, and for
//     p = 1/2 they are the mask.
//   Digits 5 and 6 are drawn for those tied so far, 1 in 16, with 2 words a digit: one serves the first of components x and
//     z that is tied at a bit, the other the first of y and w.
//   Digits 7 to 10 are drawn for those still tied, 1 in 64, with 1 word a digit: it serves x or z, and where neither is
//     tied y or w.
//   A synapse that is still tied then, or was not served, gets all its other digits at once, as a word: the lowest of each
//     component first. So do the next ones in further rounds, while there are any; 1 mask in 42 needs a second round.
// All decisions are independent: what serves a synapse depends on earlier digits alone, and nothing serves two.
//
// Forks. Multiples of two constants enter the state as subkeys do, and 6 more rounds follow. Each result by itself is that
// of a Threefry of 19 rounds, or 25; how it depends on the others rests on those 6. With 4 rounds the means of synapses
// and the covariances of pairs are off; with 5 or 6 neither shows in 16e9 synapses.

const ALL_DIGITS: bool = true; // false where p = 1/2

// What all masks of a dispatch have in common. Taken once, for adapters that load a uniform wherever it is used.
struct Draws { key: vec4u, p: u32 }

fn all_draws() -> Draws { return Draws(vec4u(params.key0, params.key1, params.key2, params.key3), params.p); }

// The state of an input quad's first two inputs.
fn first_state(draws: Draws, input_quad: u32, cell_quad: u32, sample_group: u32) -> Threefry {
  return threefry13(vec4u(input_quad, cell_quad, sample_group, 1u << 24u), draws.key); // Purpose.synapse
}

// The state of its last two. Rounds take the forks up to the 37th at most.
fn second_state(first: Threefry) -> Threefry { return fork(first, 64u); }

// The masks of an input quad's two pairs.
struct Masks { low: vec4u, high: vec4u }

fn synapse_mask(draws: Draws, state: Threefry) -> vec4u {
  let drawn1 = threefry_words(state);
  if (!ALL_DIGITS) { return drawn1; }
  let drawn2 = threefry_words(fork(state, 1u));
  let drawn3 = threefry_words(fork(state, 2u));
  let drawn4 = threefry_words(fork(state, 3u));
  let drawn56 = threefry_words(fork(state, 4u));
  let drawn7to10 = threefry_words(fork(state, 5u));
  // From the last digit to the first, the mask if all digits before are tied: mask = select(mask, digit, drawn). Kept as
  // below = mask ^ digit, which takes one operation of three operands.
  let change = draws.p ^ (draws.p << 1u);
  var below7 = digit(draws.p, 10u) & ~drawn7to10.w;
  below7 = (below7 ^ digit(change, 9u)) & ~drawn7to10.z;
  below7 = (below7 ^ digit(change, 8u)) & ~drawn7to10.y;
  below7 = (below7 ^ digit(change, 7u)) & ~drawn7to10.x;
  var below5 = (vec2u(below7) ^ vec2u(digit(change, 6u))) & ~drawn56.zw;
  below5 = (below5 ^ vec2u(digit(change, 5u))) & ~drawn56.xy;
  var below = (below5.xyxy ^ vec4u(digit(change, 4u))) & ~drawn4;
  below = (below ^ vec4u(digit(change, 3u))) & ~drawn3;
  below = (below ^ vec4u(digit(change, 2u))) & ~drawn2;
  below = (below ^ vec4u(digit(change, 1u))) & ~drawn1;

  let tied4 = ~(drawn1 | drawn2 | drawn3 | drawn4);
  let tied6 = ~(drawn56.xy | drawn56.zw);
  let tied10 = ~(drawn7to10.x | drawn7to10.y | drawn7to10.z | drawn7to10.w);
  // Where z and w are not served by digits 5 and 6, and where y and w are not by digits 7 to 10.
  let unserved = Unserved(tied4.xy & tied4.zw, (tied4.x | tied4.z) & tied6.x);
  let tied = tied6 & vec2u(tied10, tied10 | unserved.from7);
  var drawn = Drawn(vec4u(), (tied4 & tied.xyxy) | vec4u(vec2u(), unserved.from5));
  drawn.mask = (below ^ vec4u(digit(draws.p, 1u))) & ~drawn.tied;
  drawn = settle(drawn, unserved, draws, state, 6u);
  // Asked before the loop and again at its end, because llvmpipe leaves a loop nowhere else.
  if (any(drawn.tied != vec4u())) {
    var times = 7u;
    loop {
      drawn = settle(drawn, unserved, draws, state, times);
      times++;
      continuing { break if all(drawn.tied == vec4u()); }
    }
  }
  return drawn.mask;
}

struct Drawn { mask: vec4u, tied: vec4u }
struct Unserved { from5: vec2u, from7: u32 }

// A round for the lowest tied synapse of each component. Where p has no further digit, a tie is not below it.
fn settle(drawn: Drawn, unserved: Unserved, draws: Draws, state: Threefry, times: u32) -> Drawn {
  let lowest = drawn.tied & (~drawn.tied + 1u);
  let from7 = (lowest.yw & vec2u(unserved.from7)) != vec2u();
  let from5 = (lowest.zw & unserved.from5) != vec2u();
  let rest = draws.p << 10u;
  let rest_yw = select(vec2u(rest), vec2u(draws.p << 6u), from7);
  let rest_zw = select(vec2u(rest, rest_yw.y), vec2u(draws.p << 4u), from5);
  let below = threefry_words(fork(state, times)) < vec4u(rest, rest_yw.x, rest_zw);
  return Drawn(drawn.mask | select(vec4u(), lowest, below), drawn.tied ^ lowest);
}

// The digit of p that is worth 2^-place, in all bits.
fn digit(p: u32, place: u32) -> u32 { return u32(i32(p << (place - 1u)) >> 31u); }

// 6 rounds, 13 to 18, from a state of its own. The constants are the fractions of √2 and √5. They change half of the
// state, and what the first round makes of the other half is the same for all forks.
fn fork(state: Threefry, times: u32) -> Threefry {
  var s = Threefry(state.a + times * vec2u(0x6a09e667u, 0x3c6ef372u), state.b);
  s = threefry_round(s, vec2u(17u, 11u));
  s = threefry_round(s, vec2u(25u, 10u));
  s = threefry_round(s, vec2u(18u, 20u));
  s = threefry_round(s, vec2u(10u, 26u));
  s = threefry_round(s, vec2u(11u, 21u));
  return threefry_round(s, vec2u(13u, 27u));
}

// The bits of the first `count` samples of a group.
fn first_samples(count: u32) -> u32 { return select((1u << (2u * count)) - 1u, 0xffffffffu, count >= 16u); }
