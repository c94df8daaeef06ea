import fc from 'fast-check'
import t from 'tap'
import { isDeeperThan, isFreeForm, MAX_LEVELS, parseJson } from '../../schemas/json-text.js'

const levels = (count: number) => '['.repeat(count) + ']'.repeat(count)

function depthOf (value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

t.test('the depth of a text is that of its value, whatever its strings hold', async t => {
  fc.assert(
    fc.property(fc.json(), text => {
      const depth = depthOf(JSON.parse(text))
      return !isDeeperThan(depth, text) && (depth === 0 || isDeeperThan(depth - 1, text))
    })
  )
  for (const text of ['"[[["', '"\\"[[["', '"\\\\"', '"[', '{"a":"\\\\\\"]"}', '"']) {
    t.equal(isDeeperThan(1, text), false, text)
  }
  t.equal(isDeeperThan(1, '["\\\\",[1]]'), true)
  t.equal(isDeeperThan(1, '[{}]'), true)
  t.equal(isDeeperThan(1, '[],{},[]'), false)
})

t.test('64 levels are not parsed, nor is __proto__', async t => {
  t.ok(parseJson(levels(MAX_LEVELS)))
  t.throws(() => parseJson(levels(MAX_LEVELS + 1)), { code: 'json_invalid', message: /at most 63 levels/ })
  t.throws(() => parseJson('['.repeat(8_000_000)), { code: 'json_invalid', message: /at most 63 levels/ })
  t.throws(() => parseJson('{"__proto__":{}}'), { code: 'json_invalid' })
  t.throws(() => parseJson('{'), { code: 'json_invalid', message: /^The body is not valid JSON: / })
})

t.test('a field of any content has a depth of 32 and 64 KiB', async t => {
  for (const value of [null, undefined, 1, true, '', {}, 'x'.repeat(65_534), JSON.parse(levels(32))]) {
    t.equal(isFreeForm(value), true)
  }
  const deepest = Array.from({ length: 100_000 }).reduce<unknown>(inner => [inner], 1)
  for (const value of [
    'x'.repeat(65_535),
    '\u0001'.repeat(20_000),
    'é'.repeat(32_769),
    { a: 'x'.repeat(65_530) },
    JSON.parse(levels(33)),
    deepest
  ]) {
    t.equal(isFreeForm(value), false)
  }
})
