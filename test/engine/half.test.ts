/** Half precision on the CPU: all 65536 halves, and what lies between them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromHalf, toHalf } from '../../engine/half.ts'
import { Tensor } from '../../engine/index.ts'
import { testDevice } from '../device.ts'

const test = suite('half precision')
const all = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)
const isNan = (bits: number) => (bits & 0x7fff) > 0x7c00

test('known halves', () => {
  const known: [bits: number, value: number][] = [
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x0400, 2 ** -14],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x7c00, Infinity],
    [0x8000, -0],
  ]
  for (const [bits, value] of known) {
    assert.is(fromHalf(Uint16Array.of(bits))[0], value)
    assert.is(toHalf(Float32Array.of(value))[0], bits)
  }
})

test('every half comes back from the number that it stands for', () => {
  const back = toHalf(fromHalf(all))
  const wrong = all.filter((bits) => (isNan(bits) ? !isNan(back[bits]) : back[bits] !== bits))
  assert.is(wrong.length, 0, `0x${wrong[0]?.toString(16)}`)
})

test('a number between two halves goes to the nearer one, from the middle to the even one', () => {
  const values = fromHalf(all)
  // The halves of one sign are in order, and so are the floats; the middle between the last and infinity is 65520.
  for (let bits = 0; bits < 0x7c00; bits++) {
    const [low, high] = [values[bits], bits === 0x7bff ? 65536 : values[bits + 1]]
    const middle = (low + high) / 2
    const even = bits % 2 === 0 ? bits : bits + 1
    const step = (high - low) / 1024
    const halves = toHalf(Float32Array.of(middle, middle - step, middle + step, -middle))
    if (halves.join() !== [even, bits, bits + 1, even | 0x8000].join())
      assert.unreachable(`between ${low} and ${high}: ${halves}`)
  }
})

test('a tensor of halves is written, read and cleared, an odd number of them too', async () => {
  const device = await testDevice()
  const values = Float32Array.of(1, -0.1, 70000, 2 ** -24, 0.333, 5, -2)
  const tensor = Tensor.from(device, values, [7], 'f16')
  assert.equal(await tensor.read(), fromHalf(toHalf(values)))
  tensor.write(Promise.resolve(values.map((value) => value / 2)))
  assert.equal(await tensor.read(), fromHalf(toHalf(values.map((value) => value / 2))))
  assert.equal([...(await Tensor.zeros(device, [3], 'f16').read())], [0, 0, 0])
  const whole = Tensor.from(device, new Float32Array(5000))
  assert.is(Tensor.from(device, new Float32Array(5000), [5000], 'f16').storage.bytes * 2, whole.storage.bytes)
})

test.run()
