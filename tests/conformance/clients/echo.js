// What Node.js and a browser both run: the same messages through the standard WebSocket interface.
'use strict';

const SIZES = [0, 1, 125, 126, 1000, 4096, 65535, 65536, 1 << 20];

function text(size) {
  const words = 'price 42.5 größer € symbol 😀 buy sell ';
  return [...words.repeat(Math.ceil(size / words.length) + 1)].slice(0, size).join('');
}

// Half of it compresses.
function bytes(size) {
  let state = 7692;
  return Uint8Array.from({length: size}, (_, i) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return i % 256 < 128 ? state >> 16 : i;
  });
}

function same(received, sent) {
  if (typeof sent === 'string') return received === sent;
  const got = new Uint8Array(received);
  return got.length === sent.length && got.every((byte, i) => byte === sent[i]);
}

function check(condition, what) {
  if (!condition) throw new Error(what);
}

function open(url) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error('cannot connect to ' + url));
  });
}

function next(socket) {
  return new Promise((resolve, reject) => {
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = (event) => reject(new Error('closed with ' + event.code + ' ' + event.reason));
  });
}

function close(socket, code) {
  return new Promise((resolve) => {
    socket.onclose = resolve;
    socket.close(code, 'done');
  });
}

// Messages echoed; throws at the first difference.
async function echoAll(url, compressed) {
  const socket = await open(url);
  const agreed = socket.extensions.includes('permessage-deflate');
  check(agreed === compressed, 'agreed on "' + socket.extensions + '"');
  let count = 0;
  for (const size of SIZES) {
    for (const message of [text(size), text(size), bytes(size)]) {
      const answer = next(socket);
      socket.send(message);
      check(same(await answer, message), 'the echo of ' + size + ' differs');
      ++count;
    }
  }
  const closed = await close(socket, 4000);
  check(closed.wasClean && closed.code === 4000, 'closed with ' + closed.code + ', clean: ' + closed.wasClean);
  return count;
}

if (typeof module !== 'undefined') module.exports = {echoAll, open, next, close, check};
