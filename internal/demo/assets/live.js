var button = document.getElementById("close");
var base = "/api/cases/" + button.getAttribute("data-case");

function put(id, text) {
  document.getElementById(id).textContent = text;
}

function call(method, path, done) {
  var x = new XMLHttpRequest();
  x.onreadystatechange = function () {
    if (x.readyState === 4) {
      var answer = null;
      try { answer = JSON.parse(x.responseText); } catch (e) { answer = null; }
      done(x.status, answer);
    }
  };
  x.open(method, base + path, true);
  if (method === "POST") {
    x.setRequestHeader("X-Portal-Token", button.getAttribute("data-token"));
  }
  x.send(null);
}

function poll() {
  call("GET", "/status", function (status, answer) {
    if (status === 200 && answer) {
      put("status", answer.status);
      put("asked-as", answer.user || "guest");
      put("answered-at", answer.at);
    } else {
      put("answered-at", "error " + status);
    }
    window.setTimeout(poll, 2000);
  });
}

button.onclick = function () {
  put("outcome", "Please wait...");
  call("POST", "/close", function (status, answer) {
    if (status === 200 && answer) {
      put("status", answer.status);
      put("outcome", "The case is closed.");
    } else {
      put("outcome", "Not closed: error " + status + (answer && answer.error ? ", " + answer.error : ""));
    }
  });
};

poll();
