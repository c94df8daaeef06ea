import t from 'tap'
import { ApiError } from '../../../schemas/errors.js'
import { checkFrame, complaintOf, readFrame } from '../../../services/cluster-channel/frames.js'

/** An object of so many levels. */
const nested = (levels: number): object => levels === 1 ? {} : { x: nested(levels - 1) }

t.test('a frame is one JSON object with an event of the contract and its data', async t => {
  const ack = { event: 'ack', data: { seq: 3 } }
  t.same(readFrame(JSON.stringify(ack)), ack)
  t.same(readFrame(undefined), { code: 'frame_not_text', message: 'expected a text frame, got a binary one' })
  t.same(readFrame('{'), { code: 'json_invalid', message: 'expected one JSON object {"event": name, "data": object}' })
  for (const malformed of [1, null, [], { data: {} }, { event: 1, data: {} }]) {
    t.same(checkFrame(malformed), { code: 'frame_malformed', message: 'expected an object {"event": name, "data": object}' })
  }
  t.match(checkFrame({ event: 'toString', data: {} }), { code: 'event_unknown', event: 'toString', message: /^expected one of cs1, .*ack.*, got "toString"$/ })
  t.match(checkFrame({ event: 'ack', data: { seq: 'x' } }), { code: 'data_invalid', event: 'ack', message: /^data\.seq: expected/ })
})

t.test('data has at most 64 levels', async t => {
  const reports = (levels: number) => checkFrame({ event: 'information', data: { jobs: [], more: nested(levels) } })
  t.match(reports(63), { event: 'information', data: { jobs: [] } })
  t.same(reports(64), { code: 'data_invalid', message: 'data: expected at most 64 levels of objects and arrays', event: 'information' })
})

t.test('a complaint tells what the cluster did wrong, and nothing of what went wrong here', async t => {
  t.same(complaintOf(new ApiError('job_not_found', 'no job has this id'), 'result'), { code: 'job_not_found', message: 'no job has this id', event: 'result' })
  t.same(complaintOf(new Error('secret'), 'result'), { code: 'internal_error', message: 'something went wrong here; it has been logged', event: 'result' })
})
