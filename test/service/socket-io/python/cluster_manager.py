"""Registers as a cluster manager does: Socket.IO, namespace /register, then goes on by HTTP.

Usage: cluster_manager.py URL CS1_JSON. Prints a line of JSON for each thing that happens.
"""
import json
import sys

import socketio

url, cs1 = sys.argv[1], json.loads(sys.argv[2])
client = socketio.Client(reconnection=False)


def tell(what, data=None):
    print(json.dumps({'what': what, 'data': data}), flush=True)


@client.on('sc1', namespace='/register')
def on_sc1(data):
    tell('sc1', data)
    client.emit('cs1', cs1, namespace='/register')


@client.on('sc2', namespace='/register')
def on_sc2(data):
    tell('sc2', data)
    tell('id', json.loads(data)['id'])
    client.disconnect()


@client.on('error', namespace='/register')
def on_error(data):
    tell('error', data)


@client.on('disconnect', namespace='/register')
def on_disconnect(*_reason):
    tell('disconnect')


client.connect(url, namespaces=['/register'])
tell('transport', client.transport() if callable(client.transport) else client.transport)
client.wait()
