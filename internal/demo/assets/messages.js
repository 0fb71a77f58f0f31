var source = new EventSource("/events");

source.addEventListener("notice", function (event) {
  var item = document.createElement("li");
  var notice = JSON.parse(event.data);
  item.textContent = notice.at + ": " + notice.text;
  document.getElementById("notices").appendChild(item);
});

source.onopen = function () {
  document.getElementById("stream").textContent = "Connected.";
};

source.onerror = function () {
  document.getElementById("stream").textContent = "Not connected.";
};
