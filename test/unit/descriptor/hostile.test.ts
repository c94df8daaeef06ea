import t from 'tap'
import { MAX_DESCRIPTOR_BYTES } from '../../../descriptor/read.js'
import { ApiError } from '../../../schemas/errors.js'
import { least, readDescriptor, refusal } from './sample.js'

/** Far above what any of these takes, far below what the unguarded parser takes for the worst. */
const BOUND_MS = 5000

/** `unit` over and over, to the size of the largest descriptor. */
const flood = (unit: string, before = '', after = '', size = MAX_DESCRIPTOR_BYTES): string =>
  before + unit.repeat(Math.floor((size - before.length - after.length) / unit.length)) + after

/** Numbered pieces of text to the size of the largest descriptor. */
function numbered (piece: (i: number) => string, before = '', after = ''): string {
  let text = before
  for (let i = 0; text.length < MAX_DESCRIPTOR_BYTES - 50; i++) text += piece(i)
  return text + after
}

function bomb (): string {
  let text = `${least}x0: &x0 lol\n`
  for (let i = 1; i < 10; i++) text += `x${i}: &x${i} [${Array.from({ length: 10 }, () => `*x${i - 1}`).join(', ')}]\n`
  return text
}

const hostile: Record<string, string> = {
  'open brackets': flood('['),
  'open braces': flood('{a:'),
  'sequences in sequences': flood('- '),
  'questions in questions': flood('? '),
  'mappings in one line': flood('a: '),
  'a staircase of mappings': numbered((i) => `${' '.repeat(i)}a:\n`),
  'closing brackets': flood(']'),
  commas: flood(',', 'a: ['),
  'a long list': flood('a,', 'a: [', ']'),
  'a list of empty strings without commas': flood('""', 'a: ['),
  'a million keys': numbered((i) => `k${i}: 1\n`),
  'a million keys in JSON': numbered((i) => `"k${i}":1,`, '{', '"z":1}'),
  'one key over and over': flood('a: 1\n'),
  anchors: numbered((i) => `&a${i} x,`, 'a: [', ']'),
  aliases: flood('*a,', 'a: &a x\nb: [', ']'),
  'an alias bomb': bomb(),
  'a large text behind many aliases': flood('*a,', `${least}a: &a "${'x'.repeat(900_000)}"\nb: [`, ']'),
  tags: flood('!a b,', 'a: [', ']'),
  comments: flood('#\n'),
  documents: flood('---\n'),
  'ends of documents': flood('...\n'),
  directives: flood('%A\n'),
  'empty lines': flood('\n', least),
  'not a number, many times': flood('.nan,', `${least}x: [`, ']'),
  'bad escapes': flood('\\q', 'a: "', '"'),
  'bad code points': flood('\\UFFFFFFFF', 'a: "', '"'),
  'escaped lone carriage returns': flood('\\\r', 'a: "', '"'),
  backslashes: flood('\\\\', 'a: "', '"'),
  'block lines that are less indented': flood(' x\n', 'a: |\n      \n'),
  'folded lines': flood(' x\n\n', 'a: >\n'),
  'a plain text of many lines': flood(' x\n', 'a:\n'),
  'spaces in quotes': flood(' \n', "a: '", "'"),
  'a huge key': flood('k', '"', '": 1'),
  'a huge tag': flood('k', 'a: !', ' 1'),
  'a huge number': flood('1', `${least}x: `),
  'a huge port': flood('1', `${least}port: "`, '"'),
  'a huge quantity': flood(' ', `${least}requirements: {cpu: "`, '"}'),
  'tabs for indentation': flood('\t b\n', 'a:\n'),
  'fields that resemble missing ones': numbered((i) => `app_nam${i}: 1\n`)
}

for (const [name, text] of Object.entries(hostile)) {
  t.test(`${name}: a megabyte is refused as a bad descriptor, quickly and briefly`, async (t) => {
    const start = performance.now()
    const { code, message, violations, hint = '' } = refusal(text)
    t.ok(performance.now() - start < BOUND_MS, 'quickly')
    t.match(code, /^descriptor_/)
    t.ok(message.length + hint.length + JSON.stringify(violations ?? []).length < 20_000, 'briefly')
  })
}

t.test('large but honest descriptors are read, quickly', async (t) => {
  const honest = [
    flood(' x\n', `${least}cmd: |\n`, '', 2 ** 17),
    flood('word ', `${least}cmd: "`, '"', 2 ** 17),
    least + Array.from({ length: 6000 }, (_, i) => `variable_${i}: some value of it\n`).join(''),
    JSON.stringify({ ...readDescriptor(least), environment: Object.fromEntries(Array.from({ length: 6000 }, (_, i) => [`variable_${i}`, `${i}`])) }, null, 2)
  ]
  for (const text of honest) {
    const start = performance.now()
    t.doesNotThrow(() => readDescriptor(text))
    t.ok(performance.now() - start < BOUND_MS)
  }
})

t.test('48 kB of marks cost no more than a page of text', async (t) => {
  for (const [name, text] of Object.entries({
    commas: `${least}x: [${','.repeat(48_000)}]\n`,
    'line breaks': least + '\n'.repeat(48_000),
    comments: least + '#\n'.repeat(24_000),
    'empty lists': `${least}x: [${'[],'.repeat(16_000)}]\n`,
    numbers: `${least}x: [${'1,'.repeat(24_000)}1]\n`
  })) {
    const before = process.cpuUsage()
    t.match(refusal(text).message, /so many marks with so little text/, name)
    const { user } = process.cpuUsage(before)
    t.ok(user < 300_000, `${name}: ${user} us of CPU`)
  }
})

t.test('a descriptor of a service has at most 256 KiB of JSON, also where it is inherited or repeated', async (t) => {
  t.equal(readDescriptor(`${least}cmd: "${'x'.repeat(255 * 1024)}"\n`).cmd, 'x'.repeat(255 * 1024))
  const services = 'microservices:\n' + ['a', 'b'].map(name => `- {service_name: ${name}, service_ns: t}\n`).join('')
  const parts = least.replace(/^service.*\n/gm, '')
  for (const text of [
    `${least}cmd: "${'x'.repeat(256 * 1024)}"\n`,
    `${least}a: &a "${'x'.repeat(100 * 1024)}"\nb: [*a, *a]\n`,
    `${parts}cmd: "${'x'.repeat(256 * 1024)}"\n${services}`
  ]) {
    const { code, message } = refusal(text)
    t.equal(code, 'descriptor_invalid')
    t.match(message, /expected at most 256 KiB as JSON, got \d+ KiB/)
  }
})

t.test('patterns of YAML marks in any order end in a descriptor or an ApiError, quickly', async (t) => {
  const marks = ['a', 'b: ', '- ', '? ', ': ', '\n', '\n  ', ' ', '\t', '"', "'", '|', '>', '|+\n', '&a ', '*a ', '!t ', '#', ' #', ',', '[', ']', '{', '}', '\\', '---\n', '...\n', '%', '\r\n', '.inf', '~', '\uFEFF', '<<']
  let state = 42
  const next = (n: number): number => {
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n
  }
  const pattern = (length: number): string => Array.from({ length: 1 + next(length) }, () => marks[next(marks.length)]).join('')
  for (let i = 0; i < 150; i++) {
    const [before, unit, after] = [pattern(4), pattern(6), pattern(4)]
    const start = performance.now()
    try {
      readDescriptor(before + unit.repeat(100_000 / unit.length) + after)
    } catch (err) {
      if (!(err instanceof ApiError)) t.fail(JSON.stringify({ before, unit, after, err: String(err) }))
    }
    if (performance.now() - start > BOUND_MS) t.fail(JSON.stringify({ before, unit, after }))
  }
})
