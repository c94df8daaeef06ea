import t from 'tap'
import { ApiError } from '../../../schemas/errors.js'
import { checkFrame, complaintOf, readFrame } from '../../../services/cluster-channel/frames.js'

/** An object of so many levels. */

t.test('a frame is one JSON object with an event of the contract and its data', async t => {
  const ack = { event: 'ack', data: { seq: 3 } }
  const read = (text: string | undefined, most = 0) => readFrame(text, async () => most)
  t.same(await read(JSON.stringify(ack)), ack)
  t.same(await read(undefined), { code: 'frame_not_text', message: 'expected a text frame, got a binary one' })
  const notJson = {
    code: 'json_invalid',
    message: 'expected one JSON object {"event": name, "data": object} of at most 63 levels'
  }
  t.same(await read('{'), notJson)
  const large = ' '.repeat(256 * 1024) + '{'
  t.match(await read(large), { code: 'frame_too_large', message: /at most 256 KiB, and 16 KiB more for each instance/ })
  t.same(await read(large, large.length), notJson, 'it may be so large')
  t.same(await readFrame(large, () => Promise.reject(new Error('the store is away'))), notJson)
  for (const malformed of [1, null, [], { data: {} }, { event: 1, data: {} }]) {
    t.same(checkFrame(malformed), { code: 'frame_malformed', message: 'expected an object {"event": name, "data": object}' })
  }
  t.match(checkFrame({ event: 'toString', data: {} }), { code: 'event_unknown', event: 'toString', message: /^expected one of cs1, .*ack.*, got "toString"$/ })
  t.match(checkFrame({ event: 'ack', data: { seq: 'x' } }), { code: 'data_invalid', event: 'ack', message: /^data\.seq: expected/ })
})

t.test('a complaint tells what the cluster did wrong, and nothing of what went wrong here', async t => {
  t.same(complaintOf(new ApiError('job_not_found', 'no job has this id'), 'result'), { code: 'job_not_found', message: 'no job has this id', event: 'result' })
  t.same(complaintOf(new Error('secret'), 'result'), { code: 'internal_error', message: 'something went wrong here; it has been logged', event: 'result' })
})
