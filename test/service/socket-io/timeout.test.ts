import t from 'tap'
import { startChannel, until } from '../channel/channel-server.js'
import { openRaw, upgradeRequest } from '../channel/peer.js'
import { openPolling } from './polling.js'

t.test('who does not present itself is told so and let go after 10 s, also one that joins no namespace', async t => {
  const { port } = await startChannel(t)
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const joined = async () => {
    const peer = await openPolling(port, 4)
    await peer.post('40/register,')
    let text = ''
    while (!text.includes('41/register')) text += (await peer.poll()).text
    // Else the server would wait for its last poll.
    await peer.poll()
    t.match(text, /\["error",\{"code":"registration_timeout","message":"expected cs1 within 10 s"\}\]/)
    t.ok(seconds() > 9.5 && seconds() < 13, `${seconds()} s`)
  }
  const outside = async () => {
    const socket = await openRaw(t, port, upgradeRequest({}, '/socket.io/?EIO=4&transport=websocket'))
    await until(() => socket.received().includes('"sid"'))
    t.equal(await socket.closeCode(), 1005)
    t.ok(seconds() > 9.5 && seconds() < 13, `${seconds()} s`)
  }
  await Promise.all([joined(), outside()])
})
