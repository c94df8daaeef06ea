import { Type, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import t from 'tap'
import { Command } from '../../schemas/channel.js'
import { ClusterRegistration, JobReport } from '../../schemas/cluster.js'
import { Count, HexId, Nullable, OneOf, Quantity } from '../../schemas/primitives.js'
import { SchedulerResult } from '../../schemas/scheduler.js'
import { complaintOf, kindOf } from '../../schemas/wording.js'

/** The first complaint about a value. */
const complaint = (schema: TSchema, value: unknown) => complaintOf(TypeCompiler.Compile(schema).Errors(value).First()!)

t.test('a value is named for what it is', async t => {
  for (const [value, kind] of [
    [undefined, 'nothing'], [null, 'nothing'], ['', 'an empty string'], ['lots', 'the string "lots"'], [-1, 'the number -1'],
    [NaN, 'the non-finite number NaN'], [true, 'true'], [[1], 'a list'], [{}, 'an object']
  ] as const) t.equal(kindOf(value), kind)
  t.equal(kindOf('x'.repeat(41)), `the string "${'x'.repeat(40)}…"`)
  t.equal(kindOf('x'.repeat(40)), `the string "${'x'.repeat(40)}"`)
})

t.test('a complaint names what was expected and what was received', async t => {
  for (const [schema, value, said] of [
    [Count(), 1.5, 'expected a whole number of at least 0, got the number 1.5'],
    [Quantity(), 1e12, 'expected a number of at most 1000000000, got the number 1000000000000'],
    [Type.Integer(), 'x', 'expected a whole number, got the string "x"'],
    [Type.String({ minLength: 1 }), '', 'expected a string that is not empty, got an empty string'],
    [Type.String({ maxLength: 3 }), 'long', 'expected a string of 0 to 3 characters, got the string "long"'],
    [Type.String(), 4, 'expected a string, got the number 4'],
    [Type.Boolean(), 1, 'expected true or false, got the number 1'],
    [Type.Literal('a'), 'b', 'expected "a", got the string "b"'],
    [Type.Array(Type.String(), { minItems: 1 }), [], 'expected a list of at least one, got a list'],
    [Type.Array(Type.String(), { minItems: 2 }), [], 'expected a list of at least 2, got a list'],
    [Type.Array(Type.String(), { maxItems: 1 }), ['a', 'b'], 'expected a list of at most 1, got a list'],
    [Type.Array(Type.String()), {}, 'expected a list, got an object'],
    [Type.Record(Type.String(), Type.String()), [], 'expected an object, got a list'],
    [HexId, 'x', 'expected an id of 24 hexadecimal digits, got the string "x"'],
    [OneOf(['a', 'b']), 'c', 'expected one of a, b, got the string "c"'],
    [Nullable(Quantity()), -1, 'expected a number of at least 0 or null, got the number -1'],
    [Type.String({ pattern: '^x$', description: 'Letter: an x' }), 'y', 'expected an x, got the string "y"'],
    [Type.String({ pattern: '^x$', description: 'Letter' }), 'y', 'expected a letter, got the string "y"'],
    [Type.String({ pattern: '^x$' }), 'y', 'expected a valid value, got the string "y"'],
    [Type.Object({ a: Count() }), {}, 'expected a whole number of at least 0, but it is missing'],
    [Type.Object({}, { additionalProperties: false }), { b: 1 }, 'expected no such field, got the number 1']
  ] as const) t.equal(complaint(schema, value), said)
})

t.test('of a value that may be one thing or another, the part that is wrong is named', async t => {
  t.equal(complaint(SchedulerResult, { cluster: { _id: 7 } }), '_id: expected an id of 24 hexadecimal digits, or {"$oid": id}, got the number 7')
  t.equal(complaint(SchedulerResult, { cluster: 7 }), 'expected a cluster document, or a list of them, got the number 7')
})

t.test('no complaint about what peers send shows a regular expression', async t => {
  const id = '65a1b2c3d4e5f60718293a4b'
  for (const [schema, value] of [
    [ClusterRegistration, { cluster_name: '\n' }], [ClusterRegistration, { cluster_name: 'a', manager_port: '0' }],
    [JobReport, { system_job_id: 'x', status: 'RUNNING' }], [JobReport, { system_job_id: id, status: 'WALKING' }],
    [Command, { seq: 1, command_id: 'a', kind: 'fly', job_id: id }], [SchedulerResult, { job_id: id, status: 'no' }]
  ] as const) t.notMatch(complaint(schema, value), /[[\]^$](?!oid)/)
})
