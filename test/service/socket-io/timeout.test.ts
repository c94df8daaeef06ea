import t from 'tap'
import { startChannel, until } from '../channel/channel-server.js'
import { openRaw, upgradeRequest } from '../channel/peer.js'
import { openPolling } from './polling.js'

const since = (began: number) => performance.now() - began

t.test('a client that does not register in time gets the reason and is disconnected', async t => {
  const { port } = await startChannel(t, { REGISTRATION_TIMEOUT_S: 0.5 })
  const began = performance.now()
  const peer = await openPolling(port, 4)
  await peer.post('40/register,')
  let text = ''
  while (!text.includes('41/register')) text += (await peer.poll()).text
  // Else the server would wait for its last poll.
  await peer.poll()
  t.match(text, /\["error",\{"code":"registration_timeout","message":"expected cs1 within 0.5 s"\}\]/)
  t.ok(since(began) > 450)
})

t.test('a client that joins no namespace is disconnected, too', async t => {
  const { port } = await startChannel(t, { REGISTRATION_TIMEOUT_S: 0.5 })
  const began = performance.now()
  const peer = await openRaw(t, port, upgradeRequest({}, '/socket.io/?EIO=4&transport=websocket'))
  await until(() => peer.received().includes('"sid"'))
  t.equal(await peer.closeCode(), 1005)
  t.ok(since(began) > 450)
})

t.test('a registered client that does not leave is disconnected after as much time again', async t => {
  const { port } = await startChannel(t, { REGISTRATION_TIMEOUT_S: 0.8 })
  const peer = await openPolling(port, 4)
  await peer.post('40/register,')
  await peer.poll()
  await peer.post('42/register,["cs1",{"cluster_name":"hpi"}]')
  const began = performance.now()
  let text = (await peer.poll()).text
  t.match(text, /"sc2"/)
  while (!text.includes('41/register')) text += (await peer.poll()).text
  await peer.poll()
  t.notMatch(text, /error/)
  t.ok(since(began) > 600)
})
