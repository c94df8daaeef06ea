import t from 'tap'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import { leastRead, readDescriptor } from './sample.js'

/** Keys that mean something here, so that they cannot be unknown fields. */
const taken = new Set([...Object.keys(Descriptor.properties), '_id', 'job_name', 'status', 'service_ip_list', 'instance_list', 'system_manager', 'microservices'])
const forbidden = new Set(['__proto__', 'constructor', 'prototype', '<<'])

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((s) => !s.includes('\0'))
const key = text.filter((s) => !forbidden.has(s))
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof({ maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n === 0 ? 0 : n),
    text,
    fc.constantFrom('yes', '012', '1e3', '0x1f', '.nan', '~', '- a', 'a: b', '#x', '*a', '&a', '!t', '---', '2021-10-19', ' pad ', 'two\nlines\n', '\u2028', "it's", '"'),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(key, tie('json'), { maxKeys: 4, noNullPrototype: true }))
}))
const unknownFields = fc.dictionary(key.filter((k) => !taken.has(k)), json, { maxKeys: 5, noNullPrototype: true })

t.test('whatever JSON object is written as YAML or JSON, reading it ends in a descriptor or an ApiError', async (t) => {
  const anything = fc.dictionary(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...taken, ...forbidden)), fc.oneof(json, fc.jsonValue()), { noNullPrototype: true })
  fc.assert(fc.property(fc.oneof(anything, fc.jsonValue()), fc.boolean(), (value, asYaml) => {
    try {
      readDescriptor(asYaml ? stringify(value) : JSON.stringify(value, null, '\t'))
    } catch (err) {
      if (!(err instanceof ApiError)) throw err
    }
  }), { numRuns: 500 })
  t.pass('all of them did')
})

t.test('any text at all ends in a descriptor or an ApiError', async (t) => {
  const mark = fc.constantFrom('a', ': ', '- ', '? ', '\n', '  ', '\t', '"', "'", '|', '>', '&a', '*a', '!', '#', ',', '[', ']', '{', '}', '\\', '---', '%', '\r', '\uFEFF', '<<')
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.array(mark).map((marks) => marks.join(''))), (source) => {
    try {
      readDescriptor(source)
    } catch (err) {
      if (!(err instanceof ApiError)) throw err
    }
  }), { numRuns: 1000 })
  t.pass('all of them did')
})

t.test('unknown fields come back as they were given, from YAML and from JSON', async (t) => {
  fc.assert(fc.property(unknownFields, fc.constantFrom<string | number>('\t', 2, 0), (fields, indent) => {
    const given = { ...fields, ...leastRead }
    const fromYaml = readDescriptor(stringify(given, { aliasDuplicateObjects: false }))
    const fromJson = readDescriptor(JSON.stringify(given, null, indent))
    return isSame(fromYaml, given) && isSame(fromJson, given)
  }), { numRuns: 500 })
  t.pass('all of them did')
})

function isSame (a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
