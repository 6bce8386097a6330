// Threefry4x32-13: 128 random bits from a counter and a key. The same function as engine/random.ts, which gives the
// source, the reason for 13 rounds and the use of keys and counters. Joined with the kernels that draw.

// The state as it is mixed: a = (x0, x2); b = (x1, x3) before even rounds, (x3, x1) before odd ones.
struct Threefry { a: vec2u, b: vec2u }

fn threefry_round(s: Threefry, left: vec2u) -> Threefry {
  let a = s.a + s.b;
  let b = ((s.b << left) | (s.b >> (32u - left))) ^ a;
  return Threefry(a, b.yx);
}

// Rounds 0 to 3 (modulo 8), then a subkey.
fn threefry_first(s: Threefry, subkey: vec4u) -> Threefry {
  var t = threefry_round(s, vec2u(10u, 26u));
  t = threefry_round(t, vec2u(11u, 21u));
  t = threefry_round(t, vec2u(13u, 27u));
  t = threefry_round(t, vec2u(23u, 5u));
  return Threefry(t.a + subkey.xz, t.b + subkey.yw);
}

// Rounds 4 to 7 (modulo 8), then a subkey.
fn threefry_second(s: Threefry, subkey: vec4u) -> Threefry {
  var t = threefry_round(s, vec2u(6u, 20u));
  t = threefry_round(t, vec2u(17u, 11u));
  t = threefry_round(t, vec2u(25u, 10u));
  t = threefry_round(t, vec2u(18u, 20u));
  return Threefry(t.a + subkey.xz, t.b + subkey.yw);
}

// The state after round 12, the last.
fn threefry13(counter: vec4u, key: vec4u) -> Threefry {
  let parity = 0x1bd11bdau ^ key.x ^ key.y ^ key.z ^ key.w;
  let start = counter + key;
  var s = Threefry(start.xz, start.yw);
  s = threefry_first(s, vec4u(key.yzw, parity + 1u));
  s = threefry_second(s, vec4u(key.zw, parity, key.x + 2u));
  s = threefry_first(s, vec4u(key.w, parity, key.xy + vec2u(0u, 3u)));
  return threefry_round(s, vec2u(6u, 20u));
}

// The words of a state that an odd number of rounds has mixed.
fn threefry_words(s: Threefry) -> vec4u { return vec4u(s.a.x, s.b.y, s.a.y, s.b.x); }

fn threefry4x32(counter: vec4u, key: vec4u) -> vec4u { return threefry_words(threefry13(counter, key)); }
